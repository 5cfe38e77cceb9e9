// How predictctl authenticates the server and itself.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TLS_ARGUMENTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_TLS_ARGUMENTS_H_

#include <grpcpp/security/credentials.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}

namespace predictd {

struct TlsArguments {
  // Each of the files sets this, too.
  bool tls = false;
  // Files in PEM format. If empty, the system's certificates are used, and no certificate of our own.
  std::string cacert = {};
  std::string cert = {};
  std::string key = {};
  // Empty means the host of the address.
  std::string server_name = {};
};

// Adds the options and stores their values in the arguments, which must outlive the parsing.
void AddTls(CLI::App& app, TlsArguments& arguments);

// Null for plain text. INVALID_ARGUMENT for a file that cannot be read or is not PEM, and for a certificate without a
// key.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const TlsArguments& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TLS_ARGUMENTS_H_
