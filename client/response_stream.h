// The reading end of a call that answers with a stream.
#ifndef PREDICTD_CLIENT_RESPONSE_STREAM_H_
#define PREDICTD_CLIENT_RESPONSE_STREAM_H_

#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "client/call_context.h"
#include "client/call_info.h"
#include "predictd/v1/model_service.pb.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {
inline namespace client {

// Returns the events as they come. Created by a Client; one thread reads, any thread may cancel.
//
//   v1::PredictStreamResponse event;
//   while (stream->Next(&event)) { ... }
//   absl::Status status = stream->Finish(&info);
template <typename Event>
class ResponseStream {
 public:
  ResponseStream(std::unique_ptr<CallContext> context, std::unique_ptr<grpc::ClientReaderInterface<Event>> reader);
  // Cancels what is left, as Finish does.
  ~ResponseStream();
  ResponseStream(const ResponseStream&) = delete;
  ResponseStream& operator=(const ResponseStream&) = delete;

  // Blocks until the next event arrives. False if there are no more; Finish says why.
  bool Next(Event* event);

  // Stops the call and its work on the server. Next returns false soon after, and Finish then returns CANCELLED.
  void Cancel() { context_->Cancel(); }

  // Returns how the call ended, and fills `info` unless it is null. If Next has not returned false yet, it first
  // cancels the rest and drops the events that were on their way. May be called again, with the same result.
  absl::Status Finish(CallInfo* info = nullptr);

 private:
  const std::unique_ptr<CallContext> context_;
  const std::unique_ptr<grpc::ClientReaderInterface<Event>> reader_;
  bool at_end_ = false;
  std::optional<absl::Status> status_;
  CallInfo info_;
};

using PredictionStream = ResponseStream<v1::PredictStreamResponse>;
using ModelWatch = ResponseStream<v1::WatchModelsResponse>;

extern template class ResponseStream<v1::PredictStreamResponse>;
extern template class ResponseStream<v1::WatchModelsResponse>;

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_RESPONSE_STREAM_H_
