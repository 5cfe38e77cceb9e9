#ifndef PREDICTD_SERVER_RPC_HEAD_START_H_
#define PREDICTD_SERVER_RPC_HEAD_START_H_

#include <algorithm>
#include <chrono>

#include "server/async/clock.h"

namespace predictd {

// How much earlier than a caller's deadline, which is `left` away, the call ends. The caller then gets our status,
// which says where the request was, instead of the one that its own library makes up at the deadline. The head start is
// the time that the answer takes to the caller (`way_back`) plus what the deadline may have gained on its way to us:
// gRPC's C++ library, and those built on it, round a timeout up to milliseconds, and to a hundredth of it from one
// second on. It is at most a tenth of the time that is left.
inline Duration HeadStart(Duration left, Duration way_back) {
  const Duration rounded = std::clamp<Duration>(left < std::chrono::seconds(1) ? Duration::zero() : left / 100,
                                                std::chrono::milliseconds(1), std::chrono::milliseconds(100));
  return std::clamp(left / 10, Duration::zero(), way_back + rounded);
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_HEAD_START_H_
