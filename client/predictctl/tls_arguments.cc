#include "client/predictctl/tls_arguments.h"

#include <CLI/CLI.hpp>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/file.h"

namespace predictd {
namespace {

// A bundle of all certificates that a system trusts has a quarter of a MiB.
constexpr std::size_t kLargestPem = std::size_t{4} << 20;

// Checks the file here, because gRPC says only in its log, and late, that it cannot use a file.
absl::Status ReadPem(const std::string& option, const std::string& path, std::string& content) {
  if (path.empty()) return absl::OkStatus();
  absl::StatusOr<std::string> read = ReadFile(path, kLargestPem);
  if (!read.ok()) return absl::InvalidArgumentError(absl::StrCat(option, " ", path, ": ", read.status().message()));
  if (!absl::StrContains(*read, "-----BEGIN ")) {
    return absl::InvalidArgumentError(absl::StrCat(option, " ", path, ": not in PEM format (-----BEGIN ...)"));
  }
  content = *std::move(read);
  return absl::OkStatus();
}

}  // namespace

void AddTls(CLI::App& app, TlsArguments& arguments) {
  app.add_flag("--tls", arguments.tls, "Encrypt, and check the server's certificate");
  app.add_option("--cacert", arguments.cacert, "Whose certificates to trust [the system's]; means --tls")
      ->type_name("FILE.pem");
  CLI::Option* cert =
      app.add_option("--cert", arguments.cert, "Our certificate, for a server that asks for one; means --tls")
          ->type_name("FILE.pem");
  CLI::Option* key = app.add_option("--key", arguments.key, "Its private key")->type_name("FILE.pem");
  cert->needs(key);
  key->needs(cert);
  app.add_option("--server-name,--authority", arguments.server_name,
                 "The server's name in its certificate and in the header :authority [that of --address]")
      ->type_name("NAME");
}

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const TlsArguments& arguments) {
  std::shared_ptr<grpc::ChannelCredentials> plain;
  if (!arguments.tls && arguments.cacert.empty() && arguments.cert.empty()) return plain;
  grpc::SslCredentialsOptions options;
  if (absl::Status read = ReadPem("--cacert", arguments.cacert, options.pem_root_certs); !read.ok()) return read;
  if (absl::Status read = ReadPem("--cert", arguments.cert, options.pem_cert_chain); !read.ok()) return read;
  if (absl::Status read = ReadPem("--key", arguments.key, options.pem_private_key); !read.ok()) return read;
  return grpc::SslCredentials(options);
}

}  // namespace predictd
