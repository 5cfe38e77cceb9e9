// Checks that what serves a stream of many requests copes with any allocation that fails: whoever asked for it is told,
// and nothing is left.

#include <gtest/gtest.h>

#include <new>
#include <optional>
#include <string>
#include <utility>

#include "server/async/async_event.h"
#include "server/async/send_queue.h"
#include "server/async/stop.h"
#include "server/async/task_group.h"
#include "tests/fakes/failing_allocations.h"

namespace predictd {
namespace {

using Queue = SendQueue<std::string>;

Task<bool> Take(const std::string& /*message*/, bool /*more_follows*/) {
  co_return true;
}

// Writes once the event is set, as a request that is served does.
Task<> WriteLater(AsyncEvent& event, Queue& queue, StopSource& stop) {
  const ChildStopSource child(stop);
  co_await event.Wait();
  Queue::Writing writing = queue.Write("a message", 9);
  co_await writing;
}

struct Outcome {
  bool begun = false;
  bool joined = false;
  bool closed = false;
  int failures = 0;
};

Task<> Serve(Outcome& outcome) {
  StopSource stop;
  AsyncEvent event;
  std::optional<Queue> queue;
  TaskGroup group;
  try {
    queue.emplace(SendWindow(), Take);
    outcome.begun = true;
    group.Start(WriteLater(event, *queue, stop));
  } catch (const std::bad_alloc&) {
    ++outcome.failures;
  }
  if (!outcome.begun) co_return;
  event.Set();
  try {
    TaskGroup::Joining joining = group.Join();
    co_await joining;
  } catch (const std::bad_alloc&) {
    ++outcome.failures;
  }
  outcome.joined = true;
  try {
    TaskGroup::Joining closing = queue->Close();
    co_await closing;
  } catch (const std::bad_alloc&) {
    ++outcome.failures;
  }
  outcome.closed = true;
}

TEST(StreamAllocationTest, EveryFailureIsReportedOnceAndNothingIsLeft) {
  for (const bool from_then_on : {false, true}) {
    int failures = 0;
    for (bool failed = true; failed; ++failures) {
      const int64_t before = FailingAllocations::Live();
      Outcome outcome;
      {
        const FailingAllocations failing(failures, from_then_on);
        try {
          Detach(Serve(outcome));
        } catch (const std::bad_alloc&) {
          ++outcome.failures;
        }
        failed = failing.failed();
      }
      EXPECT_EQ(outcome.failures > 0, failed) << "allocation " << failures;
      EXPECT_EQ(outcome.joined, outcome.begun) << "allocation " << failures;
      EXPECT_EQ(outcome.closed, outcome.begun) << "allocation " << failures;
      EXPECT_EQ(FailingAllocations::Live(), before) << "allocation " << failures;
    }
    EXPECT_GT(failures, 7);
  }
}

}  // namespace
}  // namespace predictd
