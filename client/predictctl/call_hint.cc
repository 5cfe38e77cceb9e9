#include "client/predictctl/call_hint.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

bool IsTls(const TlsArguments& tls) {
  return tls.tls || !tls.cacert.empty() || !tls.cert.empty();
}

// The texts searched for come from gRPC and OpenSSL.
std::string TlsHint(const std::string& message, const CommonArguments& arguments) {
  if (absl::StrContains(message, "WRONG_VERSION_NUMBER") || absl::StrContains(message, "wrong version number")) {
    return absl::StrCat("the server at ", arguments.address, " does not seem to speak TLS: leave out --tls");
  }
  if (absl::StrContains(message, "CERTIFICATE_VERIFY_FAILED") ||
      absl::StrContains(message, "certificate verify failed")) {
    return "its certificate is not trusted: --cacert names a file with the certificate of who signed it";
  }
  if (absl::StrContains(message, "is not in peer certificate") || absl::StrContains(message, "Hostname Verification")) {
    return "its certificate is for another name: --server-name says which one is expected";
  }
  return "";
}

// The hint for a call that no server has answered.
std::string ConnectionHint(const ErrorDetails& error, const CommonArguments& arguments) {
  const bool tls = IsTls(arguments.tls);
  if (std::string hint = tls ? TlsHint(error.message, arguments) : ""; !hint.empty()) return hint;
  if (absl::StrContains(error.message, "keepalive") || absl::StrContains(error.message, "ping timeout")) {
    return absl::StrCat("the server at ", arguments.address, " has stopped answering");
  }
  std::string where =
      absl::StrCat("no server answers at ", arguments.address, " (--address or PREDICTD_ADDRESS names another)");
  const bool connected = absl::StrContains(error.message, "closed") || absl::StrContains(error.message, "reset");
  if (!tls && connected) return absl::StrCat(where, "; one that expects TLS needs --tls");
  return where;
}

// The texts searched for come from gRPC on either side, from predictd, and from our own client.
std::string SizeHint(const std::string& message, const CommonArguments& arguments) {
  if (absl::StrContains(message, "the client sends at most")) {
    return "--max-message-bytes allows larger requests; predictctl stream cuts what is larger";
  }
  const bool is_received = absl::StartsWith(message, "Received message larger than max");
  if (is_received && absl::EndsWith(message, absl::StrCat(" vs. ", arguments.max_message_bytes, ")"))) {
    return "the answer is larger than --max-message-bytes";
  }
  if (is_received || absl::StrContains(message, "larger than --max-message-bytes")) {
    return "the request is larger than the server takes (its option --max-message-bytes): ask for fewer --rows, or use "
           "predictctl stream, which cuts it";
  }
  return "";
}

}  // namespace

std::string HintFor(const ErrorDetails& error, const CallInfo& info, const CommonArguments& arguments) {
  const bool answered = !info.trailers.empty();
  if (error.code == absl::StatusCode::kUnavailable && !answered) return ConnectionHint(error, arguments);
  if (error.code == absl::StatusCode::kDeadlineExceeded && !answered) {
    return absl::StrCat(arguments.address, " has not answered within the deadline (--deadline)");
  }
  if (error.code == absl::StatusCode::kResourceExhausted) {
    if (std::string hint = SizeHint(error.message, arguments); !hint.empty()) return hint;
  }
  if (absl::StrContains(error.message, "PredictStream takes more")) return "predictctl stream takes more rows";
  const bool wrong_type =
      std::any_of(error.field_violations.begin(), error.field_violations.end(),
                  [](const FieldViolation& violation) { return absl::EndsWith(violation.field, ".dtype"); });
  if (wrong_type) return "--cast converts an array to the type that the model wants";
  return "";
}

std::string ControlHint(const absl::Status& status) {
  if (!absl::IsPermissionDenied(status)) return "";
  return "use the address of the --control-listen of predictd (--address), or start it with --model-control explicit";
}

}  // namespace predictd
