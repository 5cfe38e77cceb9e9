#ifndef PREDICTD_SERVER_ENGINE_ROW_STREAM_H_
#define PREDICTD_SERVER_ENGINE_ROW_STREAM_H_

#include <coroutine>
#include <memory>
#include <optional>

#include "absl/status/statusor.h"
#include "server/async/stop.h"
#include "server/async/task.h"
#include "server/engine/inference.h"
#include "server/engine/model_runner.h"

namespace predictd {

// Runs the rows of one large request in chunks and returns the results one by one.
//
// At most `window` chunks are queued, running or computed but not yet taken, and fewer if they are large: a slow reader
// stops the work instead of piling up results. Used by one coroutine; the chunks themselves end on any thread.
class RowStream {
 public:
  struct Options {
    int64_t chunk_rows = 1;
    // Whether results come in the order of their rows, or as they complete.
    bool ordered = true;
    int window = 32;
  };

  struct Chunk {
    int64_t first_row = 0;
    int64_t rows = 0;
    absl::StatusOr<InferenceResult> result;
  };

  // Starts the first chunks. `stop` outlives the stream.
  RowStream(std::shared_ptr<ModelRunner> runner, InferenceRequest request, const Options& options, StopSource& stop);

  int64_t total_chunks() const;

  // Whether Next would return without waiting.
  bool ready() const;

  // The next result; nullopt after the last one. A chunk's error is in the chunk, and the others continue. If the
  // model's queue is full, the stream continues with fewer chunks at a time; that is an error only if none of its
  // chunks finds room.
  Task<std::optional<Chunk>> Next();

  // `co_await rows.Drain()` returns when no chunk is queued or running any more. It must be awaited before the stream
  // is destroyed, which is why it needs no memory. It does not stop the chunks: that is what the StopSource is for.
  class Wait;
  Wait Drain();

 private:
  struct State;
  // A chunk that was started and not yet taken.
  struct Slot;
  static void Launch(const std::shared_ptr<State>& state, Admission admission) noexcept;
  static void Start(const std::shared_ptr<State>& state, Slot& slot, Admission admission) noexcept;
  static Task<> RunChunk(std::shared_ptr<State> state, Slot& slot, Admission admission);
  static void End(const std::shared_ptr<State>& state, Slot& slot, Admission admission,
                  absl::StatusOr<InferenceResult> result) noexcept;

  const std::shared_ptr<State> state_;
};

// Suspends until there is a next result or, if it drains, until no chunk runs.
class RowStream::Wait {
 public:
  Wait(State& state, bool drain) : state_(state), drain_(drain) {}

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> waiter) noexcept;
  void await_resume() const noexcept {}

 private:
  State& state_;
  const bool drain_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_ROW_STREAM_H_
