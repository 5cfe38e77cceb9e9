#include <gtest/gtest.h>

#include <new>

#include "server/rpc/connection_table.h"
#include "tests/fakes/failing_allocations.h"

namespace predictd {
namespace {

TEST(ConnectionTableTest, IsAsItWasWhenThereIsNoMemory) {
  int failures = 0;
  for (bool failed = true; failed; ++failures) {
    ConnectionTable table({.per_peer = 1});
    Refusal refusal = Refusal::kNone;
    try {
      const FailingAllocations failing(failures);
      ASSERT_NE(table.Add("ipv6:[2001:db8::1]:51234", refusal), nullptr);
      failed = failing.failed();
    } catch (const std::bad_alloc&) {
      EXPECT_EQ(table.size(), 0U);
      EXPECT_NE(table.Add("ipv6:[2001:db8::1]:51234", refusal), nullptr) << "after allocation " << failures;
    }
  }
  EXPECT_GT(failures, 3);
}

}  // namespace
}  // namespace predictd
