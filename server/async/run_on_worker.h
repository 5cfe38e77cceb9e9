#ifndef PREDICTD_SERVER_ASYNC_RUN_ON_WORKER_H_
#define PREDICTD_SERVER_ASYNC_RUN_ON_WORKER_H_

#include <exception>
#include <future>
#include <type_traits>

#include "server/async/worker_pool.h"

namespace predictd {

// Runs the function on that worker's thread, before the worker's next step, and waits for it. Returns what it returns
// and throws what it throws. Not to be called by a worker.
template <class Function>
auto RunOnWorker(WorkerPool& pool, int worker, const Function& function) -> decltype(function()) {
  std::promise<decltype(function())> promise;
  pool.RunOn(worker, [&promise, &function] {
    try {
      if constexpr (std::is_void_v<decltype(function())>) {
        function();
        promise.set_value();
      } else {
        promise.set_value(function());
      }
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
  });
  return promise.get_future().get();
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_RUN_ON_WORKER_H_
