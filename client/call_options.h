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

struct CallOptions {
  // From the call's start. Default: the client's. InfiniteDuration: none, the server's own limit remains.
  std::optional<absl::Duration> deadline = std::nullopt;
  // Sent after the client's own.
  Metadata metadata = {};
  // W3C trace context, as in "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01". Default: none is sent.
  std::string traceparent = {};
  // Lets others cancel the call. Default: nobody can.
  std::shared_ptr<CallControl> control = nullptr;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_OPTIONS_H_
