// The reading end of PredictStream.
#ifndef PREDICTD_CLIENT_PREDICTION_STREAM_H_
#define PREDICTD_CLIENT_PREDICTION_STREAM_H_

#include <grpcpp/support/sync_stream.h>

#include <memory>
#include <optional>

#include "absl/status/status.h"
#include "client/call_context.h"
#include "client/call_info.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {
inline namespace client {

// Returns the events as they come. Created by Client::PredictStream; one thread reads, any thread may cancel.
//
//   v1::PredictStreamResponse event;
//   while (stream->Next(&event)) { ... }
//   absl::Status status = stream->Finish(&info);
class PredictionStream {
 public:
  PredictionStream(std::unique_ptr<CallContext> context,
                   std::unique_ptr<grpc::ClientReaderInterface<v1::PredictStreamResponse>> reader);
  // Cancels what is left, as Finish does.
  ~PredictionStream();
  PredictionStream(const PredictionStream&) = delete;
  PredictionStream& operator=(const PredictionStream&) = delete;

  // Blocks until the next event arrives. False if there are no more; Finish says why.
  bool Next(v1::PredictStreamResponse* event);

  // Stops the call and its work on the server. Next returns false soon after, and Finish then returns CANCELLED.
  void Cancel() { context_->Cancel(); }

  // Returns how the call ended, and fills `info` unless it is null. If Next has not returned false yet, it first
  // cancels the rest and drops the events that were on their way. May be called again, with the same result.
  absl::Status Finish(CallInfo* info = nullptr);

 private:
  const std::unique_ptr<CallContext> context_;
  const std::unique_ptr<grpc::ClientReaderInterface<v1::PredictStreamResponse>> reader_;
  bool at_end_ = false;
  std::optional<absl::Status> status_;
  CallInfo info_;
};

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTION_STREAM_H_
