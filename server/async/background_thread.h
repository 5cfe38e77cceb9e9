#ifndef PREDICTD_SERVER_ASYNC_BACKGROUND_THREAD_H_
#define PREDICTD_SERVER_ASYNC_BACKGROUND_THREAD_H_

#include <sys/resource.h>
#include <unistd.h>

namespace predictd {

// Lets this thread give way to those that somebody waits for.
inline void MakeBackgroundThread() {
  constexpr int kNiceness = 10;
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_ASYNC_BACKGROUND_THREAD_H_
