#include "server/async/stop.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

namespace predictd {
namespace {

TEST(StopSourceTest, HasNoReasonUntilItIsStopped) {
  StopSource source;
  EXPECT_FALSE(source.stopped());
  EXPECT_EQ(source.reason(), StopReason::kNone);
}

TEST(StopSourceTest, FirstReasonWins) {
  StopSource source;
  EXPECT_TRUE(source.RequestStop(StopReason::kDeadline));
  EXPECT_FALSE(source.RequestStop(StopReason::kCancelled));
  EXPECT_TRUE(source.stopped());
  EXPECT_EQ(source.reason(), StopReason::kDeadline);
}

TEST(StopCallbackTest, RunsOnceOnTheThreadThatStops) {
  StopSource source;
  int runs = 0;
  std::thread::id thread;
  const StopCallback callback(source, [&] {
    ++runs;
    thread = std::this_thread::get_id();
  });
  EXPECT_EQ(runs, 0);
  source.RequestStop(StopReason::kCancelled);
  source.RequestStop(StopReason::kDeadline);
  EXPECT_EQ(runs, 1);
  EXPECT_EQ(thread, std::this_thread::get_id());
}

TEST(StopCallbackTest, SeesTheReason) {
  StopSource source;
  StopReason seen = StopReason::kNone;
  const StopCallback callback(source, [&] { seen = source.reason(); });
  source.RequestStop(StopReason::kDraining);
  EXPECT_EQ(seen, StopReason::kDraining);
}

TEST(StopCallbackTest, RunsAtRegistrationIfTheSourceHasStopped) {
  StopSource source;
  source.RequestStop(StopReason::kCancelled);
  int runs = 0;
  {
    const StopCallback callback(source, [&] { ++runs; });
  }
  EXPECT_EQ(runs, 1);
}

TEST(StopCallbackTest, DoesNotRunAfterItIsDestroyed) {
  StopSource source;
  int runs = 0;
  {
    const StopCallback callback(source, [&] { ++runs; });
  }
  source.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(runs, 0);
}

TEST(StopCallbackTest, AllThatAreRegisteredRun) {
  constexpr int kCallbacks = 100;
  StopSource source;
  std::vector<int> runs(kCallbacks);
  std::vector<std::unique_ptr<StopCallback>> callbacks;
  for (int i = 0; i < kCallbacks; ++i) {
    callbacks.push_back(std::make_unique<StopCallback>(source, [&runs, i] { ++runs[i]; }));
  }
  source.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(runs, std::vector<int>(kCallbacks, 1));
}

// Each callback in turn leaves the list, be it the first, the last or one in the middle; the others still run.
TEST(StopCallbackTest, LeavesTheOthersRegisteredWhereverItStoodInTheList) {
  for (size_t leaving = 0; leaving < 5; ++leaving) {
    StopSource source;
    std::vector<int> runs(5);
    std::vector<std::unique_ptr<StopCallback>> callbacks;
    for (size_t i = 0; i < 5; ++i) {
      callbacks.push_back(std::make_unique<StopCallback>(source, [&runs, i] { ++runs[i]; }));
    }
    callbacks[leaving].reset();
    source.RequestStop(StopReason::kCancelled);
    std::vector<int> expected(5, 1);
    expected[leaving] = 0;
    EXPECT_EQ(runs, expected) << "without callback " << leaving;
  }
}

TEST(StopCallbackTest, MayBeDestroyedInsideItsOwnCall) {
  StopSource source;
  std::optional<StopCallback> callback;
  bool ran = false;
  callback.emplace(source, [&] {
    callback.reset();
    ran = true;
  });
  source.RequestStop(StopReason::kCancelled);
  EXPECT_TRUE(ran);
  EXPECT_FALSE(callback.has_value());
}

TEST(StopCallbackTest, MayDestroyOthersThatHaveNotRunYet) {
  StopSource source;
  int runs = 0;
  std::vector<std::unique_ptr<StopCallback>> callbacks;
  for (int i = 0; i < 10; ++i) {
    callbacks.push_back(std::make_unique<StopCallback>(source, [&] {
      ++runs;
      callbacks.clear();
    }));
  }
  source.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(runs, 1);
}

TEST(StopCallbackTest, RegisteredInsideACallbackRunsAtOnce) {
  StopSource source;
  std::optional<StopCallback> second;
  bool second_ran = false;
  bool seen_by_first = false;
  const StopCallback first(source, [&] {
    second.emplace(source, [&] { second_ran = true; });
    seen_by_first = second_ran;
  });
  source.RequestStop(StopReason::kCancelled);
  EXPECT_TRUE(seen_by_first);
}

// What a function has captured may itself own callbacks of the same source.
TEST(StopCallbackTest, CapturedCallbackOfTheSameSourceIsDestroyedWithoutADeadlock) {
  StopSource source;
  auto inner = std::make_shared<StopCallback>(source, [] {});
  std::optional<StopCallback> outer;
  outer.emplace(source, [inner] {});
  inner.reset();
  outer.reset();
  EXPECT_FALSE(source.stopped());

  auto captured = std::make_shared<StopCallback>(source, [] {});
  outer.emplace(source, [captured, &outer] { outer.reset(); });
  captured.reset();
  source.RequestStop(StopReason::kCancelled);
  EXPECT_TRUE(source.stopped());
}

TEST(ChildStopSourceTest, StopsWithItsParentForTheSameReason) {
  StopSource parent;
  ChildStopSource child(parent);
  int runs = 0;
  const StopCallback callback(child, [&] { ++runs; });
  EXPECT_FALSE(child.stopped());
  parent.RequestStop(StopReason::kDraining);
  EXPECT_EQ(child.reason(), StopReason::kDraining);
  EXPECT_EQ(runs, 1);
}

TEST(ChildStopSourceTest, StopsAlone) {
  StopSource parent;
  ChildStopSource child(parent);
  const ChildStopSource sibling(parent);
  EXPECT_TRUE(child.RequestStop(StopReason::kDeadline));
  EXPECT_FALSE(parent.stopped());
  EXPECT_FALSE(sibling.stopped());
  parent.RequestStop(StopReason::kCancelled);
  EXPECT_EQ(child.reason(), StopReason::kDeadline);
  EXPECT_EQ(sibling.reason(), StopReason::kCancelled);
}

TEST(ChildStopSourceTest, HasStoppedIfItsParentHad) {
  StopSource parent;
  parent.RequestStop(StopReason::kStalled);
  const ChildStopSource child(parent);
  EXPECT_EQ(child.reason(), StopReason::kStalled);
}

// A coroutine that goes on because its part was stopped may end, and its part with it.
TEST(ChildStopSourceTest, MayEndInsideItsOwnStop) {
  StopSource parent;
  const auto end_inside = [&parent](bool with_parent) {
    auto child = std::make_unique<ChildStopSource>(parent);
    std::unique_ptr<StopCallback> callback;
    callback = std::make_unique<StopCallback>(*child, [&] {
      callback.reset();
      child.reset();
    });
    with_parent ? parent.RequestStop(StopReason::kCancelled) : child->RequestStop(StopReason::kDeadline);
    EXPECT_EQ(child, nullptr);
  };
  end_inside(/*with_parent=*/false);
  EXPECT_FALSE(parent.stopped());
  end_inside(/*with_parent=*/true);
}

}  // namespace
}  // namespace predictd
