#include "server/rpc/health_registry.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(HealthRegistryTest, ServiceThatWasNeverSetIsUnknown) {
  const HealthRegistry registry;
  EXPECT_FALSE(registry.Serving("m").has_value());
}

TEST(HealthRegistryTest, ServiceIsWhatItWasSetTo) {
  HealthRegistry registry;
  registry.Set("m", true);
  EXPECT_EQ(registry.Serving("m"), true);
  registry.Set("m", false);
  EXPECT_EQ(registry.Serving("m"), false);
  EXPECT_FALSE(registry.Serving("").has_value());
  registry.Remove("m");
  EXPECT_FALSE(registry.Serving("m").has_value());
}

TEST(HealthRegistryTest, NothingServesAnyMoreAfterTheEnd) {
  HealthRegistry registry;
  registry.Set("", true);
  registry.Set("m", true);
  registry.SetNotServing();
  EXPECT_EQ(registry.Serving(""), false);
  EXPECT_EQ(registry.Serving("m"), false);
  registry.Set("m", true);
  registry.Set("late", true);
  EXPECT_EQ(registry.Serving("m"), false);
  EXPECT_EQ(registry.Serving("late"), false);
}

TEST(HealthRegistryTest, EachChangeIsToldOf) {
  HealthRegistry registry;
  registry.Set("m", true);
  EXPECT_EQ(registry.changes().count(), 1U);
  registry.Remove("m");
  EXPECT_EQ(registry.changes().count(), 2U);
  registry.SetNotServing();
  EXPECT_EQ(registry.changes().count(), 3U);
}

}  // namespace
}  // namespace predictd
