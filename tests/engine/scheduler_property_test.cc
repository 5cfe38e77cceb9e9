// Random runs of the scheduler; see SchedulerSimulation. A failure prints a line that says how to repeat it.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <ostream>
#include <sstream>
#include <string>

#include "tests/engine/scheduler_simulation.h"

namespace predictd {
namespace {

using Simulation = SchedulerSimulation;

constexpr const char* kReplayVariable = "PREDICTD_SIMULATION";
// How many seeds each shard tries instead of kSeeds. Sanitizer builds set it.
constexpr const char* kSeedsVariable = "PREDICTD_SIMULATION_SEEDS";
constexpr int kShards = 8;
constexpr int kSeeds = 400;
constexpr int kOperations = 500;

std::string Finding(const Simulation::Options& options) {
  return Simulation(options).Run();
}

// Reduces the failure as far as possible: to fewer operations, then to fewer kinds of them. Any other failure will do
// as well.
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
  const char* chosen = std::getenv(kSeedsVariable);
  const int seeds = chosen == nullptr ? kSeeds : std::atoi(chosen);
  Simulation::Counts counts;
  for (int i = 0; i < seeds; ++i) {
    const Simulation::Options options = {.seed = static_cast<uint32_t>(GetParam() * seeds + i),
                                         .operations = kOperations};
    Simulation simulation(options);
    const std::string wrong = simulation.Run();
    ASSERT_EQ(wrong, "") << Describe(Shrink(options));
    counts += simulation.counts();
  }
  // All of these happened, so all of them were checked.
  for (int64_t count : {counts.ok, counts.failed, counts.cancelled, counts.full, counts.refused, counts.expired,
                        counts.hopeless, counts.new_versions}) {
    EXPECT_GT(count, seeds / 10);
  }
  RecordProperty("sent", std::to_string(counts.sent));
}

INSTANTIATE_TEST_SUITE_P(Shards, SchedulerProperty, testing::Range(0, kShards));

// How well admission does where it could know everything: there is one model, batches of one size take the same time,
// and every request leaves the server the time of `batches_to_deadline` full batches (0: between 0 and 23).
struct Admitted {
  double load;
  int batches_to_deadline;
  // The largest part of the admitted requests that may miss their deadlines.
  double most_missed;
  // The largest part of all requests that may be refused.
  double most_refused;
};

std::ostream& operator<<(std::ostream& out, const Admitted& c) {
  return out << "load " << c.load << ", deadline " << c.batches_to_deadline;
}

class SchedulerAdmission : public testing::TestWithParam<Admitted> {};

TEST_P(SchedulerAdmission, IsNeitherBlindNorParanoid) {
  const Admitted& c = GetParam();
  Simulation::Counts counts;
  for (uint32_t seed = 0; seed < 40; ++seed) {
    Simulation simulation({.seed = seed,
                           .operations = 2000,
                           .kinds = Simulation::kDeadlines,
                           .load = c.load,
                           .batches_to_deadline = c.batches_to_deadline});
    ASSERT_EQ(simulation.Run(), "") << "seed " << seed;
    counts += simulation.counts();
  }
  const auto sent = static_cast<double>(counts.sent);
  const auto missed = static_cast<double>(counts.expired + counts.hopeless);
  const auto refused = static_cast<double>(counts.refused);
  EXPECT_LE(missed, c.most_missed * (sent - refused));
  EXPECT_LE(refused, c.most_refused * sent);
  // The part of what the workers can do.
  EXPECT_GE(static_cast<double>(counts.ok) * std::max(c.load, 1.0) / sent, 0.9);
}

// At four times the possible load, the requests that arrive before any cost is known miss their deadlines, some 9 of
// each 2000.
INSTANTIATE_TEST_SUITE_P(
    Loads, SchedulerAdmission,
    testing::Values(Admitted{0.7, 10, 0, 0.001}, Admitted{0.7, 5, 0, 0.003}, Admitted{0.9, 5, 0, 0.015},
                    Admitted{2, 5, 0.04, 1}, Admitted{4, 5, 0.06, 1},
                    // Later requests with earlier deadlines overtake, and an idle model admits any request.
                    Admitted{0.7, 0, 0.01, 0.04}, Admitted{2, 0, 0.04, 1}, Admitted{4, 0, 0.08, 1}));

// One long run, or the one that the environment variable names.
TEST(SchedulerReplay, Holds) {
  Simulation::Options options = {.seed = 1, .operations = 100'000};
  if (const char* replay = std::getenv(kReplayVariable); replay != nullptr) {
    std::istringstream(replay) >> options.seed >> options.operations >> options.kinds;
  }
  EXPECT_EQ(Finding(options), "");
}

}  // namespace
}  // namespace predictd
