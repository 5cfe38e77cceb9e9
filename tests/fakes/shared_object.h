#ifndef PREDICTD_TESTS_FAKES_SHARED_OBJECT_H_
#define PREDICTD_TESTS_FAKES_SHARED_OBJECT_H_

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <string>

#include "absl/strings/str_cat.h"

namespace predictd {

// An object of POSIX shared memory as a caller has one. It is removed at the end.
class SharedObject {
 public:
  explicit SharedObject(const std::string& content) : object_(shm_open(key_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600)) {
    EXPECT_GE(object_, 0);
    EXPECT_EQ(pwrite(object_, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
  }
  ~SharedObject() {
    close(object_);
    Remove();
  }
  SharedObject(const SharedObject&) = delete;
  SharedObject& operator=(const SharedObject&) = delete;

  const std::string& key() const { return key_; }

  void Remove() { shm_unlink(key_.c_str()); }
  void Resize(size_t bytes) { EXPECT_EQ(ftruncate(object_, static_cast<off_t>(bytes)), 0); }
  size_t size() const {
    struct stat status {};
    EXPECT_EQ(fstat(object_, &status), 0);
    return static_cast<size_t>(status.st_size);
  }
  std::string content() const {
    std::string content(size(), '\0');
    EXPECT_EQ(pread(object_, content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return content;
  }

 private:
  static std::string NewKey() {
    static std::atomic<int> made{0};
    return absl::StrCat("/predictd-test-", getpid(), "-", made++);
  }

  const std::string key_ = NewKey();
  const int object_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_SHARED_OBJECT_H_
