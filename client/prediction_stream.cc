#include "client/prediction_stream.h"

#include <utility>

namespace predictd {
inline namespace client {

PredictionStream::PredictionStream(std::unique_ptr<CallContext> context,
                                   std::unique_ptr<grpc::ClientReaderInterface<v1::PredictStreamResponse>> reader)
    : context_(std::move(context)), reader_(std::move(reader)) {}

PredictionStream::~PredictionStream() {
  Finish().IgnoreError();
}

bool PredictionStream::Next(v1::PredictStreamResponse* event) {
  if (!at_end_) at_end_ = !reader_->Read(event);
  return !at_end_;
}

absl::Status PredictionStream::Finish(CallInfo* info) {
  if (!status_.has_value()) {
    if (!at_end_) {
      Cancel();
      v1::PredictStreamResponse dropped;
      while (Next(&dropped)) {
      }
    }
    status_ = context_->Finish(reader_->Finish(), &info_);
  }
  if (info != nullptr) *info = info_;
  return *status_;
}

}  // namespace client
}  // namespace predictd
