#include "server/engine/row_stream.h"

#include <algorithm>
#include <coroutine>
#include <exception>
#include <new>
#include <utility>
#include <vector>

#include "server/async/mutex.h"
#include "server/async/work_status.h"
#include "server/engine/batch.h"

namespace predictd {

namespace {

// The most bytes of inputs that all chunks of a window may have, unless there are only kFewChunks of them.
constexpr int64_t kWindowBytes = int64_t{1} << 20;
constexpr int64_t kFewChunks = 4;

int64_t Window(const InferenceRequest& request, const RowStream::Options& options) {
  const int64_t bytes_of_chunk = InputBytes(request) * options.chunk_rows / std::max<int64_t>(1, request.rows);
  const int64_t fit = std::max(kFewChunks, kWindowBytes / std::max<int64_t>(1, bytes_of_chunk));
  return std::min<int64_t>(options.window, fit);
}

}  // namespace

struct RowStream::Slot {
  enum class Phase {
    kFree,
    // Queued or running.
    kActive,
    // Refused because the queue was full; started again when another chunk has ended.
    kRefused,
    // Computed but not taken.
    kDone,
  };

  Phase phase = Phase::kFree;
  int64_t index = 0;
  absl::StatusOr<InferenceResult> result;
};

struct RowStream::State {
  State(std::shared_ptr<ModelRunner> runner, InferenceRequest request, const Options& options, StopSource& stop)
      : runner(std::move(runner)),
        request(std::move(request)),
        options(options),
        window(Window(this->request, options)),
        stop(stop),
        total((this->request.rows + options.chunk_rows - 1) / options.chunk_rows),
        slots(static_cast<size_t>(std::min(window, total))) {}

  // The chunk that Next would return: the first of those that are computed. An ordered stream returns it only if it is
  // the next in order.
  Slot* NextDone() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Slot* const first = First(Slot::Phase::kDone);
    return first == nullptr || (options.ordered && first->index != taken) ? nullptr : first;
  }

  bool HasNext() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    // Refused chunks are not started again, and the reader that waits for them is to see the stop.
    if (stop.stopped() && active == 0) return true;
    return taken == total || NextDone() != nullptr;
  }

  // The chunk to start next, which counts as active from now on; null if all or enough have been started.
  Slot* Reserve() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Slot* slot = First(Slot::Phase::kRefused);
    if (slot == nullptr && launched < total) {
      slot = First(Slot::Phase::kFree);
      if (slot != nullptr) slot->index = launched++;
    }
    if (slot == nullptr) return nullptr;
    slot->phase = Slot::Phase::kActive;
    ++active;
    return slot;
  }

  int64_t Count(Slot::Phase phase) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    return std::count_if(slots.begin(), slots.end(), [phase](const Slot& slot) { return slot.phase == phase; });
  }

  // The slot in that phase with the first rows; null if there is none.
  Slot* First(Slot::Phase phase) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    Slot* first = nullptr;
    for (Slot& slot : slots) {
      if (slot.phase == phase && (first == nullptr || slot.index < first->index)) first = &slot;
    }
    return first;
  }

  const std::shared_ptr<ModelRunner> runner;
  const InferenceRequest request;
  const Options options;
  const int64_t window;
  StopSource& stop;
  const int64_t total;

  Mutex mutex;
  // All slots that there will ever be, so that no chunk needs memory to end.
  std::vector<Slot> slots ABSL_GUARDED_BY(mutex);
  int64_t launched ABSL_GUARDED_BY(mutex) = 0;
  int64_t taken ABSL_GUARDED_BY(mutex) = 0;
  // Queued or running.
  int64_t active ABSL_GUARDED_BY(mutex) = 0;
  std::coroutine_handle<> waiter ABSL_GUARDED_BY(mutex);
  bool waiter_drains ABSL_GUARDED_BY(mutex) = false;
};

bool RowStream::Wait::await_suspend(std::coroutine_handle<> waiter) noexcept {
  MutexLock lock(state_.mutex);
  if (drain_ ? state_.active == 0 : state_.HasNext()) return false;
  state_.waiter = waiter;
  state_.waiter_drains = drain_;
  return true;
}

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
  co_await Wait(state, /*drain=*/false);
  std::optional<Chunk> chunk;
  bool grows = false;
  {
    MutexLock lock(state.mutex);
    Slot* const done = state.NextDone();
    if (done == nullptr) co_return std::nullopt;
    ++state.taken;
    const int64_t first_row = done->index * state.options.chunk_rows;
    const int64_t rows = std::min(state.options.chunk_rows, state.request.rows - first_row);
    chunk.emplace(Chunk{first_row, rows, std::move(done->result)});
    done->phase = Slot::Phase::kFree;
    grows = state.active + state.Count(Slot::Phase::kDone) + 1 < state.window;
  }
  Launch(state_, Admission::kReplacement);
  // Tries a chunk that found no room in the beginning.
  if (grows) Launch(state_, Admission::kIfSpare);
  co_return chunk;
}

RowStream::Wait RowStream::Drain() {
  return Wait(*state_, /*drain=*/true);
}

void RowStream::Launch(const std::shared_ptr<State>& state, Admission admission) noexcept {
  Slot* slot = nullptr;
  {
    MutexLock lock(state->mutex);
    slot = state->Reserve();
  }
  if (slot != nullptr) Start(state, *slot, admission);
}

void RowStream::Start(const std::shared_ptr<State>& state, Slot& slot, Admission admission) noexcept {
  try {
    Detach(RunChunk(state, slot, admission));
  } catch (const std::bad_alloc&) {
    End(state, slot, admission, OutOfMemoryStatus());
  }
}

Task<> RowStream::RunChunk(std::shared_ptr<State> state, Slot& slot, Admission admission) {
  absl::StatusOr<InferenceResult> result;
  try {
    const int64_t first_row = slot.index * state->options.chunk_rows;
    InferenceRequest chunk;
    chunk.rows = std::min(state->options.chunk_rows, state->request.rows - first_row);
    chunk.deadline = state->request.deadline;
    chunk.priority = state->request.priority;
    chunk.inputs = state->runner->signature().batched ? SliceRows(state->request.inputs, first_row, chunk.rows)
                                                      : state->request.inputs;
    // The inference is destroyed before the stream hears of the end, because after that the stop source may be gone.
    ModelRunner::Inference inference(*state->runner, std::move(chunk), state->stop, admission);
    result = co_await inference;
  } catch (const std::exception&) {
    result = StatusOfException();
  }
  End(state, slot, admission, std::move(result));
}

void RowStream::End(const std::shared_ptr<State>& state, Slot& slot, Admission admission,
                    absl::StatusOr<InferenceResult> result) noexcept {
  std::coroutine_handle<> waiter;
  Slot* next = nullptr;
  {
    MutexLock lock(state->mutex);
    --state->active;
    const bool others = state->active > 0 || state->taken + state->Count(Slot::Phase::kDone) > 0;
    const bool full = absl::IsResourceExhausted(result.status()) && !state->stop.stopped();
    if (full && admission != Admission::kReplacement && others) {
      slot.phase = Slot::Phase::kRefused;
    } else {
      slot.result = std::move(result);
      slot.phase = Slot::Phase::kDone;
    }
    if (state->waiter && (state->waiter_drains ? state->active == 0 : state->HasNext())) {
      waiter = std::exchange(state->waiter, nullptr);
    }
    // The chunk that the reader waits for was refused, and no chunk is on its way whose end would start it again.
    if (state->active == 0 && !state->HasNext()) next = state->Reserve();
  }
  if (waiter) waiter.resume();
  if (next != nullptr) Start(state, *next, Admission::kReplacement);
}

}  // namespace predictd
