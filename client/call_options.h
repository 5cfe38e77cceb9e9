// How a single call is made.
#ifndef PREDICTD_CLIENT_CALL_OPTIONS_H_
#define PREDICTD_CLIENT_CALL_OPTIONS_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "client/call_control.h"
#include "client/call_metadata.h"

namespace predictd {
inline namespace client {

struct CallOptions {
  // Counts from the call's start. The default is the client's deadline; InfiniteDuration means none, but the server's
  // own limit remains.
  std::optional<absl::Duration> deadline = std::nullopt;
  // Sent after the client's own metadata.
  Metadata metadata = {};
  // The W3C trace context, such as "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". By default none is sent.
  std::string traceparent = {};
  // Lets others cancel the call. By default nobody can.
  std::shared_ptr<CallControl> control = nullptr;
};

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_OPTIONS_H_
