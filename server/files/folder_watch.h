#ifndef PREDICTD_SERVER_FILES_FOLDER_WATCH_H_
#define PREDICTD_SERVER_FILES_FOLDER_WATCH_H_

#include <chrono>
#include <filesystem>
#include <map>
#include <set>

namespace predictd {

// Tells that something may have changed in folders, so that a thread that looks at them now and then can look at once.
// It is only a hint: what a network file system does elsewhere goes unnoticed, and so does everything where the system
// has no watch left. Used by one thread, apart from Wake.
class FolderWatch {
 public:
  FolderWatch();
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // From now on these folders are watched, and no others.
  void Watch(const std::set<std::filesystem::path>& folders);

  // Waits until something has changed, Wake has been called, or the time is over. Changes and calls since the last wait
  // count.
  void Wait(std::chrono::milliseconds longest);
  // Any thread may call it.
  void Wake();

 private:
  // -1 where there is none.
  int notify_;
  int wakeup_;
  std::map<std::filesystem::path, int> watches_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_FOLDER_WATCH_H_
