// The models of the client's test server, and the calls that change them.
#ifndef PREDICTD_TESTS_CLIENT_FAKE_MODEL_SERVICE_H_
#define PREDICTD_TESTS_CLIENT_FAKE_MODEL_SERVICE_H_

#include <grpcpp/support/status.h>

#include <cstddef>
#include <memory>

#include "absl/synchronization/notification.h"
#include "predictd/v1/model_service.grpc.pb.h"

namespace predictd {

// The most bytes that `small` takes.
inline constexpr std::size_t kSmallRequest = 1100;

// What the trailer server-timing of every answer says.
inline constexpr char kFakeTimings[] = "queue;dur=0.5, forward;dur=1.25, total;dur=2, batch;desc=\"8\"";

// Lists `double` and `echo`, and describes every model but these like `double`:
//   unknown  does not exist.
//   locked   may not be changed.
//   split    has traffic: 3=90 2=10.
//   small    takes only requests of kSmallRequest bytes.
//   waits    is never loaded: the call, as a watch of it, ends when it is cancelled.
// LoadModel changes nothing, UnloadModel unloads version 3, and ReloadModel makes version 4 ready.
// A watch of all models tells of both of them, that `double` loads version 4, and that `echo` is removed; that of one
// tells of that one alone, or of none if it is unknown. Then the server shuts down.
// Notifies when a call of `waits` has arrived and has been cancelled, respectively.
std::unique_ptr<v1::ModelService::CallbackService> MakeFakeModelService(absl::Notification& waiting,
                                                                        absl::Notification& cancelled);

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_FAKE_MODEL_SERVICE_H_
