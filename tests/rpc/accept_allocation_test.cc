// Tests that a loop that has no memory to wait for calls waits for them again once there is some.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>

#include "tests/fakes/failing_allocations.h"
#include "tests/rpc/transport_fixture.h"

namespace predictd {
namespace {

using AcceptWithoutMemoryTest = TransportTest;

TEST_F(AcceptWithoutMemoryTest, CallsAreAcceptedOnceThereIsMemory) {
  // It belongs to the loop's thread, which ends before it does.
  std::optional<FailingAllocations> failing;
  std::atomic<bool> failed{false};
  environment_.admit = [&](const Method& /*method*/, const ClientMetadata& /*metadata*/) {
    failed = failing->failed();
    return absl::OkStatus();
  };
  // The first thing that is allocated after this is the coroutine that waits for a call.
  Start(/*loops=*/1, [&failing] { failing.emplace(0); });
  const RawAnswer answer = Ask(Connect(), "/test.Echo/Echo", "x", std::chrono::seconds(10));
  EXPECT_TRUE(answer.status.ok()) << answer.status.error_message();
  EXPECT_TRUE(failed);
}

}  // namespace
}  // namespace predictd
