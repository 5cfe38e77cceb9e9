#include "server/files/folder_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <system_error>
#include <utility>

namespace predictd {
namespace {

// Not each write to a file, of which there may be very many.
constexpr uint32_t kChanges = IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ATTRIB |
                              IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

void ReadAll(int fd) {
  std::array<char, 16384> bytes;
  while (read(fd, bytes.data(), bytes.size()) > 0) {
  }
}

}  // namespace

FolderWatch::FolderWatch()
    : notify_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)), wakeup_(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {
  if (wakeup_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

FolderWatch::~FolderWatch() {
  close(wakeup_);
  if (notify_ >= 0) close(notify_);
}

void FolderWatch::Watch(const std::set<std::filesystem::path>& folders) {
  if (notify_ < 0) return;
  for (auto watch = watches_.begin(); watch != watches_.end();) {
    if (folders.contains(watch->first)) {
      ++watch;
      continue;
    }
    inotify_rm_watch(notify_, watch->second);
    watch = watches_.erase(watch);
  }
  for (const std::filesystem::path& folder : folders) {
    // Again also for those that are watched: another folder may have taken their place.
    const int watch = inotify_add_watch(notify_, folder.c_str(), kChanges);
    if (watch < 0) continue;
    const int last = std::exchange(watches_.try_emplace(folder, watch).first->second, watch);
    if (last != watch) inotify_rm_watch(notify_, last);
  }
}

void FolderWatch::Wait(std::chrono::milliseconds longest) {
  // The system leaves out descriptors below 0.
  std::array<pollfd, 2> waits = {pollfd{.fd = wakeup_, .events = POLLIN, .revents = 0},
                                 pollfd{.fd = notify_, .events = POLLIN, .revents = 0}};
  constexpr std::chrono::milliseconds kMost = std::chrono::hours(1);
  poll(waits.data(), waits.size(), static_cast<int>(std::clamp(longest, std::chrono::milliseconds(0), kMost).count()));
  ReadAll(wakeup_);
  if (notify_ >= 0) ReadAll(notify_);
}

void FolderWatch::Wake() {
  const uint64_t one = 1;
  // It only fails if the thread has been woken very often already.
  [[maybe_unused]] const ssize_t written = write(wakeup_, &one, sizeof(one));
}

}  // namespace predictd
