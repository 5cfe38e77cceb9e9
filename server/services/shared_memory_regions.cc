#include "server/services/shared_memory_regions.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/services/field_errors.h"

namespace predictd {
namespace {

constexpr size_t kMaxNameBytes = 256;

// shm_open takes names with and without a slash in front. A name with any other slash, or with an end of its own
// within, would be another file than the one that it seems to be.
bool IsKey(absl::string_view key) {
  absl::ConsumePrefix(&key, "/");
  return !key.empty() && key.size() <= NAME_MAX && key != "." && key != ".." && !absl::StrContains(key, '/') &&
         !absl::StrContains(key, '\0');
}

// The size of the object; nullopt if it is of no kind that has one.
std::optional<uint64_t> SizeOf(int object) {
  struct stat status {};
  if (fstat(object, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size < 0) return std::nullopt;
  return static_cast<uint64_t>(status.st_size);
}

bool Fits(uint64_t offset, uint64_t byte_size, uint64_t size) {
  return offset <= size && byte_size <= size - offset;
}

// Calls `transfer(done)`, which moves the bytes from `done` on, until all are moved. Returns false, with errno set, if
// that fails, or zero if there are no more.
template <class Transfer>
bool TransferAll(size_t bytes, Transfer transfer) {
  size_t done = 0;
  while (done < bytes) {
    errno = 0;
    const ssize_t moved = transfer(done);
    if (moved < 0 && errno == EINTR) continue;
    if (moved <= 0) return false;
    done += static_cast<size_t>(moved);
  }
  return true;
}

// Whether the system lacks what any file takes.
bool IsLack(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM;
}

absl::Status Unreachable(int error) {
  return absl::FailedPreconditionError(error == 0
                                           ? "its shared memory has become smaller than what was registered"
                                           : absl::StrCat("its shared memory is out of reach: ", ErrorText(error)));
}

}  // namespace

absl::Status SharedMemoryRegion::CheckObject() const {
  const std::optional<uint64_t> size = SizeOf(object_.get());
  return size.has_value() && Fits(offset_, byte_size_, *size) ? absl::OkStatus() : Unreachable(0);
}

absl::Status SharedMemoryRegion::Read(uint64_t offset, absl::Span<std::byte> bytes) const {
  const bool read = TransferAll(bytes.size(), [&](size_t done) {
    return pread(object_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset_ + offset + done));
  });
  return read ? absl::OkStatus() : Unreachable(errno);
}

absl::Status SharedMemoryRegion::Write(uint64_t offset, absl::Span<const std::byte> bytes) const {
  // To write behind the end would make the object longer.
  if (absl::Status status = CheckObject(); !status.ok()) return status;
  const bool written = TransferAll(bytes.size(), [&](size_t done) {
    return pwrite(object_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset_ + offset + done));
  });
  return written ? absl::OkStatus() : Unreachable(errno);
}

absl::Status SharedMemoryRegions::CheckRoom(const std::string& name, uint64_t bytes) const {
  if (regions_.contains(name)) {
    return absl::AlreadyExistsError(absl::StrCat("the region '", name, "' is registered already"));
  }
  if (regions_.size() >= limits_.regions) {
    return absl::ResourceExhaustedError(
        absl::StrCat("there are ", regions_.size(), " regions, as many as there may be: unregister some"));
  }
  if (bytes > limits_.bytes - bytes_) {
    return absl::ResourceExhaustedError(absl::StrCat("the objects of all regions together may have ", limits_.bytes,
                                                     " bytes, and ", limits_.bytes - bytes_,
                                                     " are left: unregister some"));
  }
  return absl::OkStatus();
}

absl::Status SharedMemoryRegions::Register(const std::string& name, const std::string& key, uint64_t offset,
                                           uint64_t byte_size) {
  FieldErrors errors;
  if (name.empty() || name.size() > kMaxNameBytes) {
    errors.Add("name", absl::StrCat("expected 1 to ", kMaxNameBytes, " bytes, got ", name.size()));
  }
  if (!IsKey(key)) {
    errors.Add("key", absl::StrCat("expected the name of an object of shared memory, \"/NAME\", got '", key, "'"));
  }
  if (!errors.empty()) return errors.ToStatus();

  // Not under the lock, as it asks the system.
  // O_NONBLOCK, or whoever has a lease on the object would keep this thread for as long as the system lets a lease be.
  FileDescriptor object(shm_open(key.c_str(), O_RDWR | O_CLOEXEC | O_NONBLOCK, 0));
  if (!object.valid() && IsLack(errno)) {
    return absl::ResourceExhaustedError(absl::StrCat("the object cannot be opened for now: ", ErrorText(errno)));
  }
  if (!object.valid()) {
    errors.Add("key", absl::StrCat("'", key, "' cannot be opened: ", ErrorText(errno)));
    return errors.ToStatus();
  }
  const std::optional<uint64_t> size = SizeOf(object.get());
  if (!size.has_value()) {
    errors.Add("key", absl::StrCat("expected shared memory, got something else in the place of '", key, "'"));
  } else if (byte_size == 0 || !Fits(offset, byte_size, *size)) {
    errors.Add("byte_size", absl::StrCat("expected 1 byte or more, and with the offset at most the ", *size,
                                         " bytes of '", key, "', got ", byte_size, " from ", offset, " on"));
  }
  if (!errors.empty()) return errors.ToStatus();

  auto made = std::make_unique<const SharedMemoryRegion>(key, offset, byte_size, *size, std::move(object));
  std::shared_ptr<const SharedMemoryRegion> region = reaper_.Own(std::move(made));
  const MutexLock lock(mutex_);
  if (absl::Status status = CheckRoom(name, *size); !status.ok()) return status;
  regions_.emplace(name, std::move(region));
  bytes_ += *size;
  return absl::OkStatus();
}

void SharedMemoryRegions::Unregister(absl::string_view name) {
  // Closed when the lock is let go.
  ByName gone;
  const MutexLock lock(mutex_);
  if (name.empty()) {
    gone.swap(regions_);
    bytes_ = 0;
  } else if (const auto found = regions_.find(name); found != regions_.end()) {
    bytes_ -= found->second->object_bytes();
    gone.insert(regions_.extract(found));
  }
}

std::shared_ptr<const SharedMemoryRegion> SharedMemoryRegions::Find(absl::string_view name) const {
  const MutexLock lock(mutex_);
  const auto found = regions_.find(name);
  return found == regions_.end() ? nullptr : found->second;
}

SharedMemoryRegions::ByName SharedMemoryRegions::all() const {
  const MutexLock lock(mutex_);
  return regions_;
}

}  // namespace predictd
