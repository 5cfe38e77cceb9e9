#include "server/rpc/event_loop.h"

#include <grpc/support/time.h>
#include <grpcpp/alarm.h>
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <memory>

#include "server/async/worker_pool.h"

namespace predictd {
namespace {

class NoObserver final : public LoopObserver {
 public:
  void OnLag(Duration /*lag*/) override {}
  void OnBurst(Duration /*busy*/, int /*events*/) override {}
};

// An event that is ready again as soon as it has been handled, `times` times.
class RestlessEvent final : public CompletionTag {
 public:
  RestlessEvent(EventLoop& loop, int times) : loop_(loop), left_(times) {}

  void Complete(bool /*ok*/) override {
    ++handled_;
    if (--left_ > 0) {
      Set();
    } else {
      over_.set_value();
    }
  }
  void Set() { alarm_.Set(loop_.queue(), gpr_time_0(GPR_CLOCK_MONOTONIC), static_cast<CompletionTag*>(this)); }
  int handled() const { return handled_; }
  void Stop() { left_ = 0; }
  void AwaitEnd() { over_.get_future().wait(); }

 private:
  EventLoop& loop_;
  grpc::Alarm alarm_;
  int left_;
  int handled_ = 0;
  std::promise<void> over_;
};

class EventLoopTest : public testing::Test {
 protected:
  EventLoopTest() {
    grpc::ServerBuilder builder;
    builder.RegisterAsyncGenericService(&service_);
    loop_ = std::make_unique<EventLoop>(builder.AddCompletionQueue(), pool_, observer_);
    server_ = builder.BuildAndStart();
  }
  ~EventLoopTest() override {
    server_->Shutdown();
    loop_->Shutdown();
  }

  // Runs the function on the loop, and waits for it.
  template <class Function>
  void OnLoop(const Function& function) {
    std::promise<void> done;
    loop_->Post([&] {
      function();
      done.set_value();
    });
    done.get_future().wait();
  }

  WorkerPool pool_{{.workers = 1}};
  NoObserver observer_;
  grpc::AsyncGenericService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<EventLoop> loop_;
};

TEST_F(EventLoopTest, KnowsItsThread) {
  loop_->Start([] {}, [] {});
  EXPECT_FALSE(loop_->OnThread());
  bool inside = false;
  OnLoop([&] { inside = loop_->OnThread(); });
  EXPECT_TRUE(inside);
}

TEST_F(EventLoopTest, TimersFireWhileEventsNeverEnd) {
  loop_->Start([] {}, [] {});
  constexpr int kEvents = 20'000;
  RestlessEvent event(*loop_, kEvents);
  int handled = kEvents;
  Timer timer(loop_->timers(), [&] {
    handled = event.handled();
    event.Stop();
  });
  OnLoop([&] {
    event.Set();
    timer.Arm(std::chrono::steady_clock::now());
  });
  event.AwaitEnd();
  OnLoop([&] { timer.Disarm(); });
  EXPECT_LT(handled, kEvents / 10);
}

}  // namespace
}  // namespace predictd
