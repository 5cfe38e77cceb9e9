#include "server/async/task.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// Whether the compiler turns the transfer from one coroutine to the next into a jump. GCC does not do so without
// optimisation, or with a sanitizer that needs to see each function's exit. Awaits then take stack, and the tests nest
// less deep.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__OPTIMIZE__)
constexpr bool kTransfersJump = false;
#else
constexpr bool kTransfersJump = true;
#endif
constexpr int kNested = kTransfersJump ? 100'000 : 1000;
constexpr int kInARow = kTransfersJump ? 1'000'000 : 1000;

// Suspends its awaiter until Open.
class Gate {
 public:
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  void await_resume() const noexcept {}

  bool reached() const { return waiter_ != nullptr; }
  void Open() { std::exchange(waiter_, nullptr).resume(); }

 private:
  std::coroutine_handle<> waiter_;
};

template <class T>
Task<T> Return(T value) {
  co_return value;
}

template <class T>
Task<> Store(Task<T> task, std::optional<T>& stored) {
  T value = co_await std::move(task);
  stored.emplace(std::move(value));
}

Task<> Note(std::vector<std::string>& notes, std::string note) {
  notes.push_back(std::move(note));
  co_return;
}

Task<> WaitAt(Gate& gate, std::shared_ptr<int> local) {
  co_await gate;
  ++*local;
}

TEST(TaskTest, NothingRunsBeforeTheTaskIsAwaited) {
  std::vector<std::string> notes;
  Task<> task = Note(notes, "ran");
  EXPECT_TRUE(notes.empty());
  Detach(std::move(task));
  EXPECT_EQ(notes, std::vector<std::string>{"ran"});
}

TEST(TaskTest, ValueReachesTheAwaiter) {
  std::optional<std::string> stored;
  Detach(Store(Return<std::string>("a value long enough for the heap"), stored));
  EXPECT_EQ(stored, "a value long enough for the heap");
}

TEST(TaskTest, MoveOnlyValueReachesTheAwaiter) {
  std::optional<std::unique_ptr<int>> stored;
  Detach(Store(Return(std::make_unique<int>(7)), stored));
  ASSERT_TRUE(stored.has_value());
  EXPECT_EQ(**stored, 7);
}

// Counts how often it is copied.
struct CopyCounter {
  explicit CopyCounter(int& copies) : copies(&copies) {}
  CopyCounter(const CopyCounter& other) : copies(other.copies) { ++*copies; }
  CopyCounter(CopyCounter&&) = default;
  int* copies;
};

TEST(TaskTest, ValueIsMovedAndNeverCopied) {
  int copies = 0;
  std::optional<CopyCounter> stored;
  Detach(Store(Return(CopyCounter(copies)), stored));
  EXPECT_TRUE(stored.has_value());
  EXPECT_EQ(copies, 0);
}

Task<> NoteAround(std::vector<std::string>& notes) {
  notes.emplace_back("before");
  co_await Note(notes, "inside");
  notes.emplace_back("after");
}

TEST(TaskTest, AwaiterContinuesWhenTheTaskEnds) {
  std::vector<std::string> notes;
  Detach(NoteAround(notes));
  EXPECT_EQ(notes, (std::vector<std::string>{"before", "inside", "after"}));
}

Task<> RecordThreadAfter(Gate& gate, std::thread::id& id) {
  co_await gate;
  id = std::this_thread::get_id();
}

Task<> RecordThreadAfterInner(Gate& gate, std::thread::id& inner, std::thread::id& outer) {
  co_await RecordThreadAfter(gate, inner);
  outer = std::this_thread::get_id();
}

TEST(TaskTest, SuspendedTaskAndItsAwaiterContinueOnTheThreadThatResumes) {
  Gate gate;
  std::thread::id inner;
  std::thread::id outer;
  Detach(RecordThreadAfterInner(gate, inner, outer));
  ASSERT_TRUE(gate.reached());
  EXPECT_EQ(outer, std::thread::id());
  std::thread resumer([&gate] { gate.Open(); });
  const std::thread::id expected = resumer.get_id();
  resumer.join();
  EXPECT_EQ(inner, expected);
  EXPECT_EQ(outer, expected);
}

TEST(TaskTest, TaskThatIsNeverAwaitedIsDestroyedWithItsArguments) {
  Gate gate;
  auto argument = std::make_shared<int>(0);
  { const Task<> task = WaitAt(gate, argument); }
  EXPECT_EQ(argument.use_count(), 1);
  EXPECT_FALSE(gate.reached());
}

TEST(TaskTest, SuspendedTaskIsDestroyedWithItsLocals) {
  Gate gate;
  auto argument = std::make_shared<int>(0);
  {
    Task<> task = WaitAt(gate, argument);
    task.await_suspend(std::noop_coroutine()).resume();
    ASSERT_TRUE(gate.reached());
    EXPECT_GT(argument.use_count(), 1);
  }
  EXPECT_EQ(argument.use_count(), 1);
  EXPECT_EQ(*argument, 0);
}

TEST(TaskTest, DetachedTaskFreesItsFrameWhenItEnds) {
  Gate gate;
  auto argument = std::make_shared<int>(0);
  Detach(WaitAt(gate, argument));
  EXPECT_GT(argument.use_count(), 1);
  gate.Open();
  EXPECT_EQ(argument.use_count(), 1);
  EXPECT_EQ(*argument, 1);
}

TEST(TaskTest, MovedFromTaskOwnsNothing) {
  auto argument = std::make_shared<int>(0);
  Gate gate;
  std::optional<Task<>> second;
  {
    Task<> first = WaitAt(gate, argument);
    second.emplace(std::move(first));
  }
  EXPECT_GT(argument.use_count(), 1);
}

// What the deepest of the nested tasks has seen.
struct Depth {
  uintptr_t stack = 0;
  int reached = 0;
};

Task<int> Nest(int levels, Depth& depth) {
  if (levels == 0) {
    depth.stack = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
    co_return 0;
  }
  ++depth.reached;
  const int below = co_await Nest(levels - 1, depth);
  co_return below + 1;
}

TEST(TaskTest, HundredThousandNestedAwaitsTakeNoStack) {
  Depth depth;
  std::optional<int> stored;
  const auto here = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  Detach(Store(Nest(kNested, depth), stored));
  EXPECT_EQ(stored, kNested);
  EXPECT_EQ(depth.reached, kNested);
  if (kTransfersJump) {
    EXPECT_LT(here - depth.stack, 64 * 1024) << "the awaits nest on the stack";
  }
}

Task<> AwaitMany(int times, int64_t& sum) {
  for (int i = 0; i < times; ++i) sum += co_await Return(i);
}

TEST(TaskTest, MillionAwaitsInARowTakeNoStack) {
  int64_t sum = 0;
  Detach(AwaitMany(kInARow, sum));
  EXPECT_EQ(sum, int64_t{kInARow} * (kInARow - 1) / 2);
}

Task<> NestAndWait(int levels, Gate& gate) {
  if (levels == 0) {
    co_await gate;
  } else {
    co_await NestAndWait(levels - 1, gate);
  }
}

Task<> Flag(Task<> task, bool& ended) {
  co_await std::move(task);
  ended = true;
}

TEST(TaskTest, HundredThousandNestedTasksUnwindWhenTheDeepestIsResumed) {
  Gate gate;
  bool ended = false;
  Detach(Flag(NestAndWait(kNested, gate), ended));
  EXPECT_FALSE(ended);
  gate.Open();
  EXPECT_TRUE(ended);
}

Task<int> Fail() {
  throw std::bad_alloc();
  co_return 0;
}

Task<> FailAfter(Gate& gate) {
  co_await gate;
  throw std::bad_alloc();
}

template <class T>
Task<> NoteFailure(Task<T> task, std::vector<std::string>& notes) {
  try {
    co_await std::move(task);
    notes.emplace_back("no failure");
  } catch (const std::bad_alloc&) {
    notes.emplace_back("bad_alloc");
  }
}

TEST(TaskTest, WhatATaskThrowsIsThrownWhereItIsAwaited) {
  std::vector<std::string> notes;
  Detach(NoteFailure(Fail(), notes));
  EXPECT_EQ(notes, std::vector<std::string>{"bad_alloc"});
}

TEST(TaskTest, WhatIsThrownAfterASuspensionReachesTheAwaiterNotWhoeverResumes) {
  std::vector<std::string> notes;
  Gate gate;
  Detach(NoteFailure(FailAfter(gate), notes));
  ASSERT_TRUE(notes.empty());
  EXPECT_NO_THROW(gate.Open());
  EXPECT_EQ(notes, std::vector<std::string>{"bad_alloc"});
}

}  // namespace
}  // namespace predictd
