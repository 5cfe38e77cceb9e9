#ifndef PREDICTD_TESTS_KERNELS_RUN_TEAM_H_
#define PREDICTD_TESTS_KERNELS_RUN_TEAM_H_

#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

#include "server/kernels/team.h"

namespace predictd {

// Runs a function of at most so many phases on so many threads, of which this is the first.
inline void RunTeam(int members, int64_t phases, const std::function<void(Member&)>& body) {
  Team team(phases);
  const auto run = [&](int index) {
    Member member(index, members, team);
    body(member);
  };
  std::vector<std::jthread> threads;
  for (int i = 1; i < members; ++i) threads.emplace_back(run, i);
  run(0);
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_KERNELS_RUN_TEAM_H_
