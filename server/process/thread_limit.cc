#include "server/process/thread_limit.h"

#include <latch>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace predictd {

absl::Status CheckThreadLimit(int count) {
  std::latch tried(1);
  std::string failure;
  std::vector<std::jthread> threads;
  threads.reserve(static_cast<size_t>(count));
  for (int i = 0; i < count && failure.empty(); ++i) {
    try {
      threads.emplace_back([&tried] { tried.wait(); });
    } catch (const std::system_error& error) {
      failure = error.code().message();
    }
  }
  tried.count_down();
  if (failure.empty()) return absl::OkStatus();
  return absl::ResourceExhaustedError(absl::StrCat(count, " threads are needed, and the system allows ", threads.size(),
                                                   ": ", failure,
                                                   " (ulimit -u, the container's limit of processes, or memory)"));
}

}  // namespace predictd
