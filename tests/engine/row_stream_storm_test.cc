#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "server/engine/row_stream.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/chunk_reader.h"

namespace predictd {
namespace {

// The results of a stream's rows.
struct Outcome {
  int64_t ok = 0;
  int64_t failed = 0;
  bool wrong_values = false;
};

// Reads a stream to its end; each good row holds its own number.
Task<> ReadAll(RowStream& stream, Outcome& outcome, std::shared_ptr<Arrival<bool>> drained) {
  while (true) {
    const std::optional<RowStream::Chunk> chunk = co_await stream.Next();
    if (!chunk.has_value()) break;
    (chunk->result.ok() ? outcome.ok : outcome.failed) += chunk->rows;
    if (!chunk->result.ok()) continue;
    const std::vector<float> values = Values(chunk->result->outputs[0]);
    for (int64_t i = 0; i < chunk->rows; ++i) {
      if (values[i] != static_cast<float>(chunk->first_row + i)) outcome.wrong_values = true;
    }
  }
  co_await stream.Drain();
  drained->Set(true);
}

class RowStreamStorm : public testing::TestWithParam<int> {};

// Many streams at once share a small queue, and some of them are stopped on the way, with errors in between: each comes
// to its end and accounts for all of its rows.
TEST_P(RowStreamStorm, EveryStreamAccountsForAllItsRows) {
  constexpr int kThreads = 3;
  constexpr int kStreams = 60;
  FakeModel model([](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    for (float value : Values(inputs[0])) {
      if (static_cast<int>(value) % 17 == 16) return absl::InternalError("every seventeenth row");
    }
    return FakeModel::Echo(inputs);
  });
  RecordingObserver observer;
  const SteadyClock clock;
  WorkerPool pool({.workers = GetParam(), .max_inline_cost = std::chrono::microseconds(50)});
  const ModelRunner::Options options = {.queue = {.capacity = 6}, .observer = &observer};
  const auto runner = std::make_shared<ModelRunner>(model.Make(), FloatSignature(8), options, pool, clock);
  std::atomic<int> wrong{0};
  std::vector<std::jthread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      std::mt19937 random(100 * GetParam() + t);
      for (int i = 0; i < kStreams; ++i) {
        const int64_t rows = random() % 60;
        std::vector<float> values(rows);
        for (int64_t row = 0; row < rows; ++row) values[row] = static_cast<float>(row);
        StopSource stop;
        Outcome outcome;
        auto drained = std::make_shared<Arrival<bool>>();
        RowStream stream(runner, FloatRequest(Floats({rows, 1}, values)),
                         {.chunk_rows = static_cast<int64_t>(1 + random() % 4),
                          .ordered = random() % 2 == 0,
                          .window = static_cast<int>(1 + random() % 8)},
                         stop);
        Detach(ReadAll(stream, outcome, drained));
        if (random() % 3 == 0) stop.RequestStop(random() % 2 == 0 ? StopReason::kCancelled : StopReason::kStalled);
        drained->Take();
        if (outcome.wrong_values || outcome.ok + outcome.failed != rows) ++wrong;
      }
    });
  }
  threads.clear();
  EXPECT_EQ(wrong, 0) << "seeds " << 100 * GetParam() << " to " << 100 * GetParam() + kThreads - 1;
  EXPECT_EQ(runner->queued(), 0);
  pool.Stop();
  EXPECT_EQ(observer.queued(), 0);
  EXPECT_EQ(observer.running(), 0);
  EXPECT_FALSE(observer.went_negative());
}

INSTANTIATE_TEST_SUITE_P(Workers, RowStreamStorm, testing::Values(1, 2, 4));

}  // namespace
}  // namespace predictd
