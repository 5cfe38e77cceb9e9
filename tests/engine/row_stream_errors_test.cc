#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <vector>

#include "server/engine/row_stream.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/chunk_reader.h"

namespace predictd {
namespace {

using std::chrono::milliseconds;

class RowStreamErrorsTest : public RunnerTest {
 protected:
  RowStreamErrorsTest() : RunnerTest(FailOnNegative) {}

  static InferenceRequest Rows(const std::vector<float>& values, TimePoint deadline = kNever) {
    return FloatRequest(Floats({static_cast<int64_t>(values.size()), 1}, values), deadline);
  }

  // The codes of all remaining chunks, by first row.
  static std::vector<absl::StatusCode> AwaitCodes(RowStream& stream) {
    std::vector<absl::StatusCode> codes(stream.total_chunks(), absl::StatusCode::kUnknown);
    while (const std::optional<RowStream::Chunk> chunk = AwaitNext(stream)) {
      codes[chunk->first_row] = chunk->result.status().code();
    }
    return codes;
  }

  static constexpr absl::StatusCode kOk = absl::StatusCode::kOk;
  static constexpr absl::StatusCode kFull = absl::StatusCode::kResourceExhausted;
  StopSource stop_;
};

TEST_F(RowStreamErrorsTest, ErrorOfOneChunkIsReportedForItsRowsAndTheRestGoOn) {
  const auto runner = MakeRunner();
  RowStream stream(runner, Rows({1, -1, 2, 3, -4, 5}), {.chunk_rows = 2, .ordered = true, .window = 2}, stop_);
  std::vector<bool> ok;
  while (const std::optional<RowStream::Chunk> chunk = AwaitNext(stream)) {
    ok.push_back(chunk->result.ok());
    EXPECT_EQ(chunk->rows, 2);
    if (!chunk->result.ok()) {
      EXPECT_EQ(chunk->result.status(), absl::InternalError("negative element"));
    }
  }
  EXPECT_EQ(ok, (std::vector<bool>{false, true, false}));
}

// For every capacity, with and without other requests in the queue: no chunk is lost, none is refused while others of
// its stream are on their way, and the stream always ends.
TEST_F(RowStreamErrorsTest, StreamThatFindsLittleRoomGoesOnWithFewerChunks) {
  for (size_t capacity = 1; capacity <= 20; ++capacity) {
    for (const bool ordered : {true, false}) {
      SCOPED_TRACE(testing::Message() << "capacity " << capacity << (ordered ? ", ordered" : ", unordered"));
      const auto runner = MakeRunner(FloatSignature(), capacity);
      model_.Block();
      const size_t runs = model_.batch_rows().size();
      const PendingInference occupant(*runner, OneRow(0));
      model_.AwaitRuns(runs + 1);
      RowStream stream(runner, Rows(std::vector<float>(20, 1)), {.chunk_rows = 1, .ordered = ordered, .window = 8},
                       stop_);
      // A stream leaves half of the queue to other requests.
      EXPECT_EQ(runner->queued(), static_cast<int64_t>(std::min<size_t>((capacity + 1) / 2, 8)));
      model_.Release();
      EXPECT_EQ(AwaitCodes(stream), std::vector<absl::StatusCode>(20, kOk));
    }
  }
}

TEST_F(RowStreamErrorsTest, StreamThatFoundLittleRoomGrowsWhenThereIsMore) {
  const auto runner = MakeRunner(FloatSignature(/*max_batch_size=*/1), /*queue_capacity=*/8);
  model_.Block();
  const PendingInference occupant(*runner, OneRow(0));
  model_.AwaitRuns(1);
  std::vector<std::unique_ptr<PendingInference>> others;
  for (int i = 0; i < 7; ++i) others.push_back(std::make_unique<PendingInference>(*runner, OneRow(0)));
  RowStream stream(runner, Rows(std::vector<float>(20, 1)), {.chunk_rows = 1, .window = 3}, stop_);
  EXPECT_EQ(runner->queued(), 8);
  others.clear();
  // Lets the occupant pass, and the stream's one chunk.
  model_.ReleaseOne();
  model_.ReleaseOne();
  ASSERT_TRUE(AwaitNext(stream)->result.ok());
  model_.AwaitRuns(3);
  EXPECT_EQ(runner->queued(), 1);
  model_.Release();
  std::vector<absl::StatusCode> codes = AwaitCodes(stream);
  codes[0] = kOk;
  EXPECT_EQ(codes, std::vector<absl::StatusCode>(20, kOk));
}

TEST_F(RowStreamErrorsTest, OnlyTheFirstChunkIsRefusedIfThereIsNoRoomAtAll) {
  for (const bool ordered : {true, false}) {
    SCOPED_TRACE(ordered ? "ordered" : "unordered");
    const auto runner = MakeRunner(FloatSignature(), /*queue_capacity=*/1);
    model_.Block();
    const size_t runs = model_.batch_rows().size();
    const PendingInference occupant(*runner, OneRow(0));
    model_.AwaitRuns(runs + 1);
    const PendingInference filler(*runner, OneRow(0));
    RowStream stream(runner, Rows(std::vector<float>(6, 1)), {.chunk_rows = 1, .ordered = ordered, .window = 4}, stop_);
    std::optional<RowStream::Chunk> first = AwaitNext(stream);
    ASSERT_TRUE(first.has_value());
    EXPECT_EQ(first->first_row, 0);
    EXPECT_EQ(first->result.status().code(), kFull);
    model_.Release();
    std::vector<absl::StatusCode> codes = AwaitCodes(stream);
    codes[0] = kOk;
    EXPECT_EQ(codes, std::vector<absl::StatusCode>(6, kOk));
  }
}

TEST_F(RowStreamErrorsTest, StopEndsEveryChunkAtOnceWhileTheWorkerIsBusy) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  RowStream stream(runner, Rows(std::vector<float>(10, 1)), {.chunk_rows = 1, .ordered = true, .window = 3}, stop_);
  const auto next = StartNext(stream);
  EXPECT_FALSE(next->arrived());
  stop_.RequestStop(StopReason::kCancelled);
  ASSERT_TRUE(next->arrived());
  EXPECT_EQ(next->Take()->result.status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(runner->queued(), 0);
  std::vector<absl::StatusCode> codes = AwaitCodes(stream);
  codes[0] = absl::StatusCode::kCancelled;
  EXPECT_EQ(codes, std::vector<absl::StatusCode>(10, absl::StatusCode::kCancelled));
  EXPECT_FALSE(occupant->ended());
}

// The stop's reason looks like a full queue, but nothing will make room.
TEST_F(RowStreamErrorsTest, StalledStreamEndsItsChunksInsteadOfPuttingThemOff) {
  const auto runner = MakeRunner();
  model_.Block();
  RowStream stream(runner, Rows(std::vector<float>(6, 1)), {.chunk_rows = 1, .ordered = true, .window = 3}, stop_);
  model_.AwaitRuns(1);
  model_.ReleaseOne();
  ASSERT_TRUE(AwaitNext(stream).has_value());
  const auto next = StartNext(stream);
  stop_.RequestStop(StopReason::kStalled);
  ASSERT_TRUE(next->arrived());
  EXPECT_EQ(AwaitCodes(stream).back(), absl::StatusCode::kResourceExhausted);
}

TEST_F(RowStreamErrorsTest, ChunksThatExpireInTheQueueAreNotComputed) {
  const auto runner = MakeRunner();
  const auto occupant = OccupyWorker(*runner);
  RowStream stream(runner, Rows({1, 2, 3}, TimePoint(milliseconds(5))), {.chunk_rows = 1, .ordered = true, .window = 3},
                   stop_);
  clock_.Advance(milliseconds(5));
  model_.Release();
  EXPECT_EQ(AwaitCodes(stream), std::vector<absl::StatusCode>(3, absl::StatusCode::kDeadlineExceeded));
  EXPECT_EQ(model_.batch_rows(), std::vector<int64_t>{1});
}

TEST_F(RowStreamErrorsTest, DrainReturnsAtOnceIfNothingRuns) {
  const auto runner = MakeRunner();
  RowStream stream(runner, Rows({1}), {.chunk_rows = 1, .ordered = true, .window = 1}, stop_);
  ASSERT_TRUE(AwaitNext(stream).has_value());
  EXPECT_TRUE(StartDrain(stream)->arrived());
}

TEST_F(RowStreamErrorsTest, DrainWaitsForChunksThatRun) {
  const auto runner = MakeRunner();
  model_.Block();
  RowStream stream(runner, Rows({1, 2}), {.chunk_rows = 1, .ordered = true, .window = 1}, stop_);
  model_.AwaitRuns(1);
  const auto drained = StartDrain(stream);
  EXPECT_FALSE(drained->arrived());
  model_.Release();
  EXPECT_TRUE(drained->Take());
}

TEST_F(RowStreamErrorsTest, DrainAfterAStopDoesNotWaitForTheBatch) {
  const auto runner = MakeRunner();
  model_.Block();
  RowStream stream(runner, Rows({1, 2}), {.chunk_rows = 1, .ordered = true, .window = 2}, stop_);
  model_.AwaitRuns(1);
  const auto drained = StartDrain(stream);
  stop_.RequestStop(StopReason::kFailed);
  EXPECT_TRUE(drained->arrived());
}

// Does what a call does: the stop source, the stream and the request are destroyed as soon as the stream has drained,
// on whichever thread that happens. AddressSanitizer notices if a chunk still touches one of them.
Task<> ReadThenDestroyEverything(std::shared_ptr<ModelRunner> runner, InferenceRequest request,
                                 std::shared_ptr<Arrival<bool>> destroyed) {
  auto stop = std::make_unique<StopSource>();
  const RowStream::Options options = {.chunk_rows = 1, .ordered = true, .window = 4};
  auto stream = std::make_unique<RowStream>(std::move(runner), std::move(request), options, *stop);
  co_await stream->Next();
  co_await stream->Drain();
  stream.reset();
  stop.reset();
  destroyed->Set(true);
}

TEST_F(RowStreamErrorsTest, NothingIsTouchedAfterTheDrain) {
  for (int round = 0; round < 300; ++round) {
    auto destroyed = std::make_shared<Arrival<bool>>();
    Detach(ReadThenDestroyEverything(MakeRunner(), Rows(std::vector<float>(6, 1)), destroyed));
    EXPECT_TRUE(destroyed->Take());
  }
}

}  // namespace
}  // namespace predictd
