#include "server/engine/row_stream.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "tests/engine/runner_fixture.h"
#include "tests/fakes/chunk_reader.h"

namespace predictd {
namespace {

// Rows of one element each, with the values 0, 1, 2, ...
InferenceRequest CountingRows(int64_t rows) {
  std::vector<float> values(rows);
  std::iota(values.begin(), values.end(), 0.0F);
  return FloatRequest(Floats({rows, 1}, values));
}

class RowStreamTest : public RunnerTest {
 protected:
  void TearDown() override {
    if (stream_ != nullptr) {
      stop_.RequestStop(StopReason::kFailed);
      StartDrain(*stream_)->Take();
    }
    RunnerTest::TearDown();
  }

  RowStream& Start(int64_t rows, const RowStream::Options& options) {
    runner_ = MakeRunner(FloatSignature(max_batch_size_));
    stream_ = std::make_unique<RowStream>(runner_, CountingRows(rows), options, stop_);
    return *stream_;
  }

  int64_t max_batch_size_ = 64;
  StopSource stop_;
  std::shared_ptr<ModelRunner> runner_;
  std::unique_ptr<RowStream> stream_;
};

struct ChunkCase {
  int64_t rows;
  int64_t chunk_rows;
  int window;
  int64_t chunks;
};

std::ostream& operator<<(std::ostream& out, const ChunkCase& c) {
  return out << c.rows << " rows by " << c.chunk_rows << ", window " << c.window;
}

class RowStreamChunks : public RowStreamTest, public testing::WithParamInterface<ChunkCase> {};

TEST_P(RowStreamChunks, CoverEveryRowOnceInOrder) {
  const ChunkCase& c = GetParam();
  RowStream& stream = Start(c.rows, {.chunk_rows = c.chunk_rows, .ordered = true, .window = c.window});
  EXPECT_EQ(stream.total_chunks(), c.chunks);
  int64_t next_row = 0;
  int64_t chunks = 0;
  while (const std::optional<RowStream::Chunk> chunk = AwaitNext(stream)) {
    ++chunks;
    EXPECT_EQ(chunk->first_row, next_row);
    EXPECT_LE(chunk->rows, c.chunk_rows);
    ASSERT_TRUE(chunk->result.ok()) << chunk->result.status();
    const std::vector<float> values = Values(chunk->result->outputs[0]);
    ASSERT_EQ(static_cast<int64_t>(values.size()), chunk->rows);
    for (float value : values) EXPECT_EQ(value, static_cast<float>(next_row++));
  }
  EXPECT_EQ(next_row, c.rows);
  EXPECT_EQ(chunks, c.chunks);
  EXPECT_FALSE(AwaitNext(stream).has_value()) << "the end stays the end";
}

INSTANTIATE_TEST_SUITE_P(Table, RowStreamChunks,
                         testing::Values(ChunkCase{10, 3, 4, 4}, ChunkCase{9, 3, 4, 3}, ChunkCase{1, 1, 1, 1},
                                         ChunkCase{1, 100, 4, 1}, ChunkCase{100, 1, 4, 100}, ChunkCase{100, 1, 1, 100},
                                         ChunkCase{7, 2, 100, 4}, ChunkCase{0, 3, 4, 0}),
                         [](const testing::TestParamInfo<ChunkCase>& info) {
                           return std::to_string(info.param.rows) + "RowsBy" + std::to_string(info.param.chunk_rows) +
                                  "Window" + std::to_string(info.param.window);
                         });

TEST_F(RowStreamTest, NoMoreThanTheWindowIsComputedBeforeTheReaderTakesIt) {
  constexpr int kWindow = 3;
  std::atomic<int64_t> takes{0};
  std::atomic<bool> exceeded{false};
  std::atomic<int64_t> begun{0};
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    begun += inputs[0].shape()[0];
    if (begun > takes + kWindow) exceeded = true;
    return FakeModel::Echo(inputs);
  });
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool_, clock_);
  RowStream stream(runner, CountingRows(50), {.chunk_rows = 1, .ordered = true, .window = kWindow}, stop_);
  for (int i = 0; i < 50; ++i) {
    ++takes;
    ASSERT_TRUE(AwaitNext(stream).has_value());
  }
  EXPECT_FALSE(exceeded);
  EXPECT_EQ(begun, 50);
  pool_.Stop();
}

TEST_F(RowStreamTest, SlowReaderStopsTheWork) {
  RowStream& stream = Start(50, {.chunk_rows = 1, .ordered = true, .window = 4});
  ASSERT_TRUE(AwaitNext(stream).has_value());
  // When another request has been answered, everything that was queued before it has run.
  const PendingInference other(*runner_, OneRow(1));
  EXPECT_TRUE(other.Await().ok());
  EXPECT_EQ(runner_->queued(), 0);
  const std::vector<int64_t> runs = model_.batch_rows();
  EXPECT_EQ(std::accumulate(runs.begin(), runs.end(), int64_t{0}), 1 + 4 + 1);
}

TEST_F(RowStreamTest, WindowOfLargeRowsIsSmallerSoThatTheyDoNotFillTheQueue) {
  for (const auto& [floats_of_a_row, chunks] :
       std::vector<std::pair<int64_t, int64_t>>{{1, 16}, {32'768, 8}, {262'144, 4}}) {
    runner_ = MakeRunner(FloatSignature());
    const size_t runs_before = model_.batch_rows().size();
    InferenceRequest request = FloatRequest(Floats({20, floats_of_a_row}, std::vector<float>(20 * floats_of_a_row)));
    stream_ = std::make_unique<RowStream>(runner_, std::move(request),
                                          RowStream::Options{.chunk_rows = 1, .window = 16}, stop_);
    ASSERT_TRUE(AwaitNext(*stream_).has_value());
    const PendingInference other(*runner_, OneRow(1));
    EXPECT_TRUE(other.Await().ok());
    const std::vector<int64_t> runs = model_.batch_rows();
    EXPECT_EQ(std::accumulate(runs.begin() + static_cast<int64_t>(runs_before), runs.end(), int64_t{0}), 1 + chunks + 1)
        << floats_of_a_row;
    while (AwaitNext(*stream_).has_value()) {
    }
  }
}

TEST_F(RowStreamTest, OrderedStreamWaitsForTheEarliestChunk) {
  max_batch_size_ = 1;
  WorkerPool two_workers({.workers = 2});
  std::atomic<bool> first_may_end{false};
  Arrival<bool> second_ended;
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    if (Values(inputs[0])[0] == 0) first_may_end.wait(false);
    return FakeModel::Echo(inputs);
  });
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(1), ModelRunner::Options{}, two_workers, clock_);
  RowStream stream(runner, CountingRows(3), {.chunk_rows = 1, .ordered = true, .window = 3}, stop_);
  const auto next = StartNext(stream);
  const PendingInference after_the_others(*runner, OneRow(9));
  EXPECT_TRUE(after_the_others.Await().ok());
  EXPECT_FALSE(next->arrived());
  first_may_end = true;
  first_may_end.notify_all();
  EXPECT_EQ(next->Take()->first_row, 0);
  EXPECT_EQ(AwaitNext(stream)->first_row, 1);
  EXPECT_EQ(AwaitNext(stream)->first_row, 2);
  two_workers.Stop();
}

TEST_F(RowStreamTest, UnorderedStreamGivesWhatIsReadyFirst) {
  WorkerPool two_workers({.workers = 2});
  std::atomic<bool> first_may_end{false};
  FakeModel model([&](absl::Span<const Tensor> inputs) {
    if (Values(inputs[0])[0] == 0) first_may_end.wait(false);
    return FakeModel::Echo(inputs);
  });
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(1), ModelRunner::Options{}, two_workers, clock_);
  RowStream stream(runner, CountingRows(5), {.chunk_rows = 1, .ordered = false, .window = 2}, stop_);
  for (int row = 1; row < 5; ++row) EXPECT_EQ(AwaitNext(stream)->first_row, row);
  const auto last = StartNext(stream);
  EXPECT_FALSE(last->arrived());
  first_may_end = true;
  first_may_end.notify_all();
  EXPECT_EQ(last->Take()->first_row, 0);
  EXPECT_FALSE(AwaitNext(stream).has_value());
  two_workers.Stop();
}

TEST_F(RowStreamTest, ChunksOfSeveralStreamsShareBatches) {
  RowStream& stream = Start(1, {.chunk_rows = 1, .ordered = true, .window = 1});
  ASSERT_TRUE(AwaitNext(stream).has_value());
  model_.Block();
  const PendingInference occupant(*runner_, OneRow(0));
  model_.AwaitRuns(2);
  RowStream one(runner_, CountingRows(2), {.chunk_rows = 1, .ordered = true, .window = 2}, stop_);
  RowStream two(runner_, CountingRows(2), {.chunk_rows = 1, .ordered = true, .window = 2}, stop_);
  model_.Release();
  for (RowStream* each : {&one, &two}) {
    EXPECT_EQ(AwaitNext(*each)->result->timings.batch_rows, 4);
    EXPECT_EQ(Values(AwaitNext(*each)->result->outputs[0]), std::vector<float>{1});
  }
}

TEST_F(RowStreamTest, ModelWithoutBatchesGetsItsWholeInputAsOneChunk) {
  const Signature signature = {{{"x", DType::kFp32, {3}}}, {{"y", DType::kFp32, {3}}}, /*batched=*/false, 1};
  InferenceRequest request;
  request.inputs = {Floats({3}, {1, 2, 3})};
  stream_ = std::make_unique<RowStream>(MakeRunner(signature), request, RowStream::Options{}, stop_);
  EXPECT_EQ(stream_->total_chunks(), 1);
  EXPECT_EQ(Values(AwaitNext(*stream_)->result->outputs[0]), (std::vector<float>{1, 2, 3}));
  EXPECT_FALSE(AwaitNext(*stream_).has_value());
}

}  // namespace
}  // namespace predictd
