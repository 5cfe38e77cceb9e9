#ifndef PREDICTD_SERVER_ASYNC_REAPER_H_
#define PREDICTD_SERVER_ASYNC_REAPER_H_

#include <memory>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "server/async/mutex.h"

namespace predictd {

// Destroys objects on a thread of its own, whoever drops the last reference to them: to free a model takes milliseconds
// to seconds, which an event loop or a worker does not have. Thread-safe.
class Reaper {
 public:
  Reaper();
  // Destroys what has been dropped. No object may be dropped later.
  ~Reaper();
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  // Waits until all that was dropped before is gone. Not to be called by a destructor of an object.
  void Finish();

  // Shares an object that is destroyed here. `held` is what the object uses; it is let go after the object. Dropping
  // the last reference needs no memory.
  template <class T>
  std::shared_ptr<T> Own(std::unique_ptr<T> object, std::shared_ptr<const void> held = nullptr) {
    auto remains = std::make_unique<RemainsOf<T>>(std::move(object), std::move(held));
    T* const shared = remains->object.get();
    // Should there be no memory for the shared pointer, it calls the deleter.
    return std::shared_ptr<T>(shared, [this, remains = remains.release()](T*) noexcept { Bury(remains); });
  }

 private:
  struct Remains {
    virtual ~Remains() = default;
    Remains* next = nullptr;
  };
  template <class T>
  struct RemainsOf final : Remains {
    RemainsOf(std::unique_ptr<T> object, std::shared_ptr<const void> held)
        : held(std::move(held)), object(std::move(object)) {}
    std::shared_ptr<const void> held;
    std::unique_ptr<T> object;
  };

  void Bury(Remains* remains) noexcept;
  void Run();
  // Destroys what has been dropped. Returns false if there was nothing.
  bool Clear() noexcept;

  Mutex mutex_;
  CondVar changed_;
  // A list, the last dropped first.
  Remains* dropped_ ABSL_GUARDED_BY(mutex_) = nullptr;
  // How many threads destroy something at the moment.
  int busy_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_REAPER_H_
