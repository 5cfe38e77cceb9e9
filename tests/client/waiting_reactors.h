// The server's end of calls of the client's tests.
#ifndef PREDICTD_TESTS_CLIENT_WAITING_REACTORS_H_
#define PREDICTD_TESTS_CLIENT_WAITING_REACTORS_H_

#include <grpcpp/support/server_callback.h>

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/synchronization/notification.h"

namespace predictd {

// Notifies when a call has arrived, and ends it when it is cancelled. Deletes itself.
class WaitingCall : public grpc::ServerUnaryReactor {
 public:
  WaitingCall(absl::Notification& waiting, absl::Notification& cancelled) : cancelled_(cancelled) { waiting.Notify(); }
  void OnCancel() override {
    cancelled_.Notify();
    Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  absl::Notification& cancelled_;
};

// Writes events, and then ends the call, or if there is somebody to notify, waits until it is cancelled. Deletes
// itself.
template <typename Event>
class EventWriter : public grpc::ServerWriteReactor<Event> {
 public:
  // There must be an event.
  EventWriter(std::vector<Event> events, grpc::Status end)
      : EventWriter(std::move(events), std::move(end), nullptr, nullptr) {}
  EventWriter(std::vector<Event> events, absl::Notification& waiting, absl::Notification& cancelled)
      : EventWriter(std::move(events), grpc::Status::CANCELLED, &waiting, &cancelled) {}

  void OnWriteDone(bool ok) override {
    ++written_;
    if (ok && written_ < events_.size()) {
      this->StartWrite(&events_[written_]);
    } else if (cancelled_ == nullptr) {
      this->Finish(end_);
    } else {
      waiting_->Notify();
    }
  }

  void OnCancel() override {
    if (cancelled_ == nullptr) return;
    cancelled_->Notify();
    this->Finish(end_);
  }

  void OnDone() override { delete this; }

 private:
  EventWriter(std::vector<Event> events, grpc::Status end, absl::Notification* waiting, absl::Notification* cancelled)
      : events_(std::move(events)), end_(std::move(end)), waiting_(waiting), cancelled_(cancelled) {
    this->StartWrite(&events_.front());
  }

  const std::vector<Event> events_;
  const grpc::Status end_;
  absl::Notification* const waiting_;
  absl::Notification* const cancelled_;
  std::size_t written_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_WAITING_REACTORS_H_
