#ifndef PREDICTD_TESTS_FAKES_CHUNK_READER_H_
#define PREDICTD_TESTS_FAKES_CHUNK_READER_H_

#include <memory>
#include <optional>
#include <utility>

#include "server/async/mutex.h"
#include "server/async/task.h"
#include "server/engine/row_stream.h"

namespace predictd {

// The result of something that a coroutine does and a thread waits for. Shared by both, because the thread may continue
// before the coroutine has quite finished.
template <class T>
class Arrival {
 public:
  void Set(T value) {
    MutexLock lock(mutex_);
    value_ = std::move(value);
    changed_.NotifyAll();
  }
  bool arrived() const {
    MutexLock lock(mutex_);
    return value_.has_value();
  }
  // Waits for the value and takes it. Call it once.
  T Take() {
    MutexLock lock(mutex_);
    while (!value_.has_value()) changed_.Wait(mutex_);
    return *std::move(value_);
  }

 private:
  mutable Mutex mutex_;
  CondVar changed_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
};

using NextChunk = Arrival<std::optional<RowStream::Chunk>>;

// Starts to wait for the stream's next chunk; only one wait at a time. The stream outlives the arrival.
inline std::shared_ptr<NextChunk> StartNext(RowStream& stream) {
  struct Wait {
    static Task<> For(RowStream& stream, std::shared_ptr<NextChunk> arrival) {
      std::optional<RowStream::Chunk> chunk = co_await stream.Next();
      arrival->Set(std::move(chunk));
    }
  };
  auto arrival = std::make_shared<NextChunk>();
  Detach(Wait::For(stream, arrival));
  return arrival;
}

inline std::optional<RowStream::Chunk> AwaitNext(RowStream& stream) {
  return StartNext(stream)->Take();
}

// Starts to wait until no chunk is queued or running.
inline std::shared_ptr<Arrival<bool>> StartDrain(RowStream& stream) {
  struct Wait {
    static Task<> For(RowStream& stream, std::shared_ptr<Arrival<bool>> arrival) {
      co_await stream.Drain();
      arrival->Set(true);
    }
  };
  auto arrival = std::make_shared<Arrival<bool>>();
  Detach(Wait::For(stream, arrival));
  return arrival;
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_CHUNK_READER_H_
