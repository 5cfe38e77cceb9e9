#include "server/engine/row_stream.h"

#include <algorithm>
#include <coroutine>
#include <map>
#include <set>
#include <utility>

#include "server/async/mutex.h"
#include "server/engine/batch.h"

namespace predictd {

namespace {

// What the inputs of all chunks of a window may have, unless there are few.
constexpr int64_t kWindowBytes = int64_t{1} << 20;
constexpr int64_t kFewChunks = 4;

int64_t Window(const InferenceRequest& request, const RowStream::Options& options) {
  const int64_t bytes_of_chunk = InputBytes(request) * options.chunk_rows / std::max<int64_t>(1, request.rows);
  const int64_t fit = std::max(kFewChunks, kWindowBytes / std::max<int64_t>(1, bytes_of_chunk));
  return std::min<int64_t>(options.window, fit);
}

}  // namespace

struct RowStream::State {
  State(std::shared_ptr<ModelRunner> runner, InferenceRequest request, const Options& options, StopSource& stop)
      : runner(std::move(runner)),
        request(std::move(request)),
        options(options),
        window(Window(this->request, options)),
        stop(stop),
        total((this->request.rows + options.chunk_rows - 1) / options.chunk_rows) {}

  // Whether Next would return something without waiting.
  bool HasNext() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    // What was refused is not started again, and whoever waits for it is to see the stop.
    if (stop.stopped() && active == 0) return true;
    if (done.empty()) return taken == total;
    return !options.ordered || done.begin()->first == taken;
  }

  // The chunk to start next, which counts as active from now on; nullopt if all have been started.
  std::optional<int64_t> Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::optional<int64_t> index;
    if (!refused.empty()) {
      index = *refused.begin();
      refused.erase(refused.begin());
    } else if (launched < total) {
      index = launched++;
    }
    if (index.has_value()) ++active;
    return index;
  }

  // Suspends until HasNext, or (drain) until no chunk runs.
  struct Wait {
    State& state;
    const bool drain;

    bool await_ready() const noexcept { return false; }
    bool await_suspend(std::coroutine_handle<> handle) {
      MutexLock lock(state.mutex);
      if (drain ? state.active == 0 : state.HasNext()) return false;
      state.waiter = handle;
      state.waiter_drains = drain;
      return true;
    }
    void await_resume() const noexcept {}
  };

  const std::shared_ptr<ModelRunner> runner;
  const InferenceRequest request;
  const Options options;
  const int64_t window;
  StopSource& stop;
  const int64_t total;

  Mutex mutex;
  int64_t launched ABSL_GUARDED_BY(mutex) = 0;
  int64_t taken ABSL_GUARDED_BY(mutex) = 0;
  // Queued or running.
  int64_t active ABSL_GUARDED_BY(mutex) = 0;
  // Refused for want of room, to be started again when another has ended.
  std::set<int64_t> refused ABSL_GUARDED_BY(mutex);
  // Computed but not taken, by index.
  std::map<int64_t, absl::StatusOr<InferenceResult>> done ABSL_GUARDED_BY(mutex);
  std::coroutine_handle<> waiter ABSL_GUARDED_BY(mutex);
  bool waiter_drains ABSL_GUARDED_BY(mutex) = false;
};

RowStream::RowStream(std::shared_ptr<ModelRunner> runner, InferenceRequest request, const Options& options,
                     StopSource& stop)
    : state_(std::make_shared<State>(std::move(runner), std::move(request), options, stop)) {
  Launch(state_, Admission::kIfRoom);
  for (int64_t i = 1; i < state_->window; ++i) Launch(state_, Admission::kIfSpare);
}

int64_t RowStream::total_chunks() const {
  return state_->total;
}

bool RowStream::ready() const {
  MutexLock lock(state_->mutex);
  return state_->HasNext();
}

Task<std::optional<RowStream::Chunk>> RowStream::Next() {
  State& state = *state_;
  co_await State::Wait{state, /*drain=*/false};
  std::optional<Chunk> chunk;
  bool grows = false;
  {
    MutexLock lock(state.mutex);
    if (state.done.empty()) co_return std::nullopt;
    auto node = state.done.extract(state.done.begin());
    ++state.taken;
    grows = state.active + static_cast<int64_t>(state.done.size()) + 1 < state.window;
    const int64_t first_row = node.key() * state.options.chunk_rows;
    const int64_t rows = std::min(state.options.chunk_rows, state.request.rows - first_row);
    chunk = Chunk{first_row, rows, std::move(node.mapped())};
  }
  Launch(state_, Admission::kReplacement);
  // One that found no room in the beginning.
  if (grows) Launch(state_, Admission::kIfSpare);
  co_return chunk;
}

Task<> RowStream::Drain() {
  co_await State::Wait{*state_, /*drain=*/true};
}

void RowStream::Launch(const std::shared_ptr<State>& state, Admission admission) {
  std::optional<int64_t> index;
  {
    MutexLock lock(state->mutex);
    index = state->Reserve();
  }
  if (index.has_value()) Detach(RunChunk(state, *index, admission));
}

Task<> RowStream::RunChunk(std::shared_ptr<State> state, int64_t index, Admission admission) {
  const int64_t first_row = index * state->options.chunk_rows;
  InferenceRequest chunk;
  chunk.rows = std::min(state->options.chunk_rows, state->request.rows - first_row);
  chunk.deadline = state->request.deadline;
  chunk.priority = state->request.priority;
  chunk.inputs = state->runner->signature().batched ? SliceRows(state->request.inputs, first_row, chunk.rows)
                                                    : state->request.inputs;
  absl::StatusOr<InferenceResult> result;
  {
    // Gone before the stream hears of the end: after that the stop source may be gone.
    ModelRunner::Inference inference(*state->runner, std::move(chunk), state->stop, admission);
    result = co_await inference;
  }

  std::coroutine_handle<> waiter;
  std::optional<int64_t> next;
  {
    MutexLock lock(state->mutex);
    --state->active;
    const bool others = state->active > 0 || state->taken + static_cast<int64_t>(state->done.size()) > 0;
    const bool full = absl::IsResourceExhausted(result.status()) && !state->stop.stopped();
    if (full && admission != Admission::kReplacement && others) {
      state->refused.insert(index);
    } else {
      state->done.emplace(index, std::move(result));
    }
    if (state->waiter && (state->waiter_drains ? state->active == 0 : state->HasNext())) {
      waiter = std::exchange(state->waiter, nullptr);
    }
    // What the reader waits for was refused, and nothing is on its way whose end would start it again.
    if (state->active == 0 && !state->HasNext()) next = state->Reserve();
  }
  if (waiter) waiter.resume();
  if (next.has_value()) Detach(RunChunk(state, *next, Admission::kReplacement));
}

}  // namespace predictd
