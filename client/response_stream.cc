#include "client/response_stream.h"

#include <utility>

namespace predictd {
inline namespace client {

template <typename Event>
ResponseStream<Event>::ResponseStream(std::unique_ptr<CallContext> context,
                                      std::unique_ptr<grpc::ClientReaderInterface<Event>> reader)
    : context_(std::move(context)), reader_(std::move(reader)) {}

template <typename Event>
ResponseStream<Event>::~ResponseStream() {
  Finish().IgnoreError();
}

template <typename Event>
bool ResponseStream<Event>::Next(Event* event) {
  if (!at_end_) at_end_ = !reader_->Read(event);
  return !at_end_;
}

template <typename Event>
absl::Status ResponseStream<Event>::Finish(CallInfo* info) {
  if (!status_.has_value()) {
    if (!at_end_) {
      Cancel();
      Event dropped;
      while (Next(&dropped)) {
      }
    }
    status_ = context_->Finish(reader_->Finish(), &info_);
  }
  if (info != nullptr) *info = info_;
  return *status_;
}

template class ResponseStream<v1::PredictStreamResponse>;
template class ResponseStream<v1::WatchModelsResponse>;

}  // namespace client
}  // namespace predictd
