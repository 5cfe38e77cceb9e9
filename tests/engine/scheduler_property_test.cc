// Random runs of the scheduler, see SchedulerSimulation. A failure prints a line that says how to run it again.

#include <gtest/gtest.h>

#include <cstdlib>
#include <sstream>
#include <string>

#include "tests/engine/scheduler_simulation.h"

namespace predictd {
namespace {

using Simulation = SchedulerSimulation;

constexpr const char* kReplayVariable = "PREDICTD_SIMULATION";
constexpr int kShards = 8;
constexpr int kSeeds = 400;
constexpr int kOperations = 500;

std::string Finding(const Simulation::Options& options) {
  return Simulation(options).Run();
}

// The same failure with as little as possible: fewer operations, then fewer kinds of them. Another failure will do.
Simulation::Options Shrink(Simulation::Options options) {
  bool smaller = true;
  while (smaller) {
    smaller = false;
    Simulation::Options next = options;
    next.operations /= 2;
    if (next.operations > 0 && !Finding(next).empty()) {
      options = next;
      smaller = true;
    }
  }
  for (uint32_t kind = 1; kind <= Simulation::kAll; kind <<= 1) {
    Simulation::Options next = options;
    next.kinds &= ~kind;
    if (next.kinds != options.kinds && !Finding(next).empty()) options = next;
  }
  return options;
}

std::string Describe(const Simulation::Options& options) {
  std::ostringstream text;
  text << Finding(options) << ": " << kReplayVariable << "='" << options.seed << " " << options.operations << " "
       << options.kinds << "' replays it";
  return text.str();
}

class SchedulerProperty : public testing::TestWithParam<int> {};

TEST_P(SchedulerProperty, HoldsWhateverHappens) {
  Simulation::Counts counts;
  for (int i = 0; i < kSeeds; ++i) {
    const Simulation::Options options = {.seed = static_cast<uint32_t>(GetParam() * kSeeds + i),
                                         .operations = kOperations};
    Simulation simulation(options);
    const std::string wrong = simulation.Run();
    ASSERT_EQ(wrong, "") << Describe(Shrink(options));
    counts += simulation.counts();
  }
  // It all happened, so it was all checked.
  for (int64_t count : {counts.ok, counts.failed, counts.cancelled, counts.full, counts.refused, counts.expired,
                        counts.hopeless, counts.new_versions}) {
    EXPECT_GT(count, kSeeds / 10);
  }
  RecordProperty("sent", std::to_string(counts.sent));
}

INSTANTIATE_TEST_SUITE_P(Shards, SchedulerProperty, testing::Range(0, kShards));

// One long run, or what the environment says.
TEST(SchedulerReplay, Holds) {
  Simulation::Options options = {.seed = 1, .operations = 100'000};
  if (const char* replay = std::getenv(kReplayVariable); replay != nullptr) {
    std::istringstream(replay) >> options.seed >> options.operations >> options.kinds;
  }
  EXPECT_EQ(Finding(options), "");
}

}  // namespace
}  // namespace predictd
