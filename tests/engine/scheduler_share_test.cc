#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <random>

#include "tests/engine/findings.h"
#include "tests/engine/simulated_scheduler.h"

namespace predictd {
namespace {

using std::chrono::microseconds;

// A source whose steps take random times.
class RandomSource : public WorkSource, public std::enable_shared_from_this<RandomSource> {
 public:
  RandomSource(SimulatedScheduler& scheduler, std::mt19937& random, Share share, Duration longest)
      : WorkSource(share), scheduler_(scheduler), random_(random), longest_(longest) {
    scheduler.SetWeight(*this, share.weight);
  }

  void RunStep() override {
    scheduler_.AdvanceTo(scheduler_.now() + Duration(1 + static_cast<Duration::rep>(random_() % longest_.count())));
  }

 protected:
  SimulatedScheduler& scheduler_;
  std::mt19937& random_;
  const Duration longest_;
};

// A source that always has another step until a certain time.
class Flood final : public RandomSource {
 public:
  Flood(SimulatedScheduler& scheduler, std::mt19937& random, Share share, Duration longest, TimePoint end)
      : RandomSource(scheduler, random, share, longest), end_(end) {}

  void RunStep() override {
    if (scheduler_.now() < end_) scheduler_.Ready(shared_from_this());
    RandomSource::RunStep();
  }

 private:
  const TimePoint end_;
};

// A source with one step at a time, and pauses between its steps.
class Light final : public RandomSource {
 public:
  Light(SimulatedScheduler& scheduler, std::mt19937& random, Share share, Duration longest, int steps)
      : RandomSource(scheduler, random, share, longest), steps_left_(steps) {}

  void Arrive() {
    ready_ = scheduler_.now();
    scheduler_.Ready(shared_from_this());
  }
  void RunStep() override {
    longest_wait_ = std::max(longest_wait_, scheduler_.now() - ready_);
    RandomSource::RunStep();
    if (--steps_left_ == 0) return;
    scheduler_.At(scheduler_.now() + Duration(random_() % (8 * longest_.count())), [this] { Arrive(); });
  }
  Duration longest_wait() const { return longest_wait_; }
  int steps_left() const { return steps_left_; }

 private:
  int steps_left_;
  TimePoint ready_;
  Duration longest_wait_{};
};

TEST(SchedulerShare, LightSourceBesideAFloodWaitsForItsShareAndAStepOfTheFlood) {
  for (uint32_t seed = 0; seed < 200; ++seed) {
    std::mt19937 random(seed);
    Findings findings;
    SimulatedScheduler scheduler(1, 1'000'000, findings, [] {});
    const double weight = static_cast<double>(1 + random() % 16) / 4;
    const double flood_weight = static_cast<double>(1 + random() % 16) / 4;
    const Duration longest = microseconds(1 + random() % 200);
    const Duration longest_of_flood = microseconds(1 + random() % 2000);
    const TimePoint end{std::chrono::milliseconds(200)};
    const auto flood =
        std::make_shared<Flood>(scheduler, random, WorkSource::Share{flood_weight}, longest_of_flood, end);
    const auto light = std::make_shared<Light>(scheduler, random, WorkSource::Share{weight}, longest, 100);
    scheduler.Ready(flood);
    light->Arrive();
    scheduler.Finish();
    EXPECT_EQ(findings.first(), "") << "seed " << seed;
    EXPECT_EQ(light->steps_left(), 0) << "seed " << seed;
    // The time that the flood gets in return for the light source's last step, and the step that cannot be interrupted.
    const auto share =
        Duration(static_cast<Duration::rep>(static_cast<double>(longest.count()) * flood_weight / weight));
    EXPECT_LE(light->longest_wait(), share + longest_of_flood) << "seed " << seed;
    EXPECT_GT(light->longest_wait(), Duration::zero()) << "seed " << seed;
  }
}

}  // namespace
}  // namespace predictd
