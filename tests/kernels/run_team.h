#ifndef PREDICTD_TESTS_KERNELS_RUN_TEAM_H_
#define PREDICTD_TESTS_KERNELS_RUN_TEAM_H_

#include <functional>
#include <thread>
#include <vector>

#include "server/kernels/team.h"

namespace predictd {

// Runs a function on so many threads, of which this is the first.
inline void RunTeam(int members, const std::function<void(const Member&)>& body) {
  Barrier barrier;
  std::vector<std::jthread> threads;
  for (int i = 1; i < members; ++i) {
    threads.emplace_back(body, Member{.index = i, .count = members, .barrier = &barrier});
  }
  body({.index = 0, .count = members, .barrier = &barrier});
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_RUN_TEAM_H_
