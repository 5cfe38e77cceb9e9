#ifndef PREDICTD_SERVER_SERVICES_SHARED_MEMORY_REGIONS_H_
#define PREDICTD_SERVER_SERVICES_SHARED_MEMORY_REGIONS_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/async/mutex.h"
#include "server/async/reaper.h"
#include "server/rpc/file_descriptor.h"

namespace predictd {

// A part of an object of POSIX shared memory, which a caller on this machine owns and may change, shrink or remove at
// any time. So it is never mapped, where an access behind its end would end the process: it is read and written like a
// file, which copies, and fails if it has become too short. Immutable and thread-safe.
class SharedMemoryRegion {
 public:
  // `object_bytes` is the size of the whole object.
  SharedMemoryRegion(std::string key, uint64_t offset, uint64_t byte_size, uint64_t object_bytes, FileDescriptor object)
      : key_(std::move(key)),
        offset_(offset),
        byte_size_(byte_size),
        object_bytes_(object_bytes),
        object_(std::move(object)) {}

  // The object's name, as the caller gave it, and the part of it.
  const std::string& key() const { return key_; }
  uint64_t offset() const { return offset_; }
  uint64_t byte_size() const { return byte_size_; }
  // The size of the object when it was registered.
  uint64_t object_bytes() const { return object_bytes_; }

  // Whether the region has so many bytes from `offset` on.
  bool Has(uint64_t offset, uint64_t bytes) const { return offset <= byte_size_ && bytes <= byte_size_ - offset; }

  // Copies what begins at `offset`, which the region must have. FAILED_PRECONDITION if the object does not have it any
  // more, or is out of reach.
  absl::Status Read(uint64_t offset, absl::Span<std::byte> bytes) const;
  absl::Status Write(uint64_t offset, absl::Span<const std::byte> bytes) const;

 private:
  // FAILED_PRECONDITION unless the object still has the region.
  absl::Status CheckObject() const;

  const std::string key_;
  const uint64_t offset_;
  const uint64_t byte_size_;
  const uint64_t object_bytes_;
  const FileDescriptor object_;
};

// The regions that callers have registered, by name. A call that has found a region keeps it, whoever unregisters it
// meanwhile. Thread-safe.
class SharedMemoryRegions {
 public:
  struct Limits {
    // Each region takes an open file.
    size_t regions = 1024;
    // Of the objects of all regions together. What is removed while it is registered stays in memory, however little of
    // it is registered.
    uint64_t bytes = uint64_t{1} << 40;
  };
  using ByName = std::map<std::string, std::shared_ptr<const SharedMemoryRegion>, std::less<>>;

  // Regions end on the reaper, which outlives them: to close an object that nobody else has frees its memory, which
  // takes long.
  SharedMemoryRegions(Limits limits, Reaper& reaper) : limits_(limits), reaper_(reaper) {}

  // Opens the object `key`, a name in which only the first character may be a slash. INVALID_ARGUMENT with a BadRequest
  // for a wrong name or key, and for what the object does not have; ALREADY_EXISTS; RESOURCE_EXHAUSTED.
  absl::Status Register(const std::string& name, const std::string& key, uint64_t offset, uint64_t byte_size);

  // Forgets one region, or all for an empty name. A name that is unknown is no error, as with Triton.
  void Unregister(absl::string_view name);

  // Null if there is none.
  std::shared_ptr<const SharedMemoryRegion> Find(absl::string_view name) const;
  ByName all() const;

 private:
  // OK if there is room for another region of that name.
  absl::Status CheckRoom(const std::string& name, uint64_t bytes) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const Limits limits_;
  Reaper& reaper_;
  mutable Mutex mutex_;
  ByName regions_ ABSL_GUARDED_BY(mutex_);
  uint64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Where in a region the elements of a tensor are, or are to be put. The region has that place.
struct SharedPlace {
  std::string region_name;
  std::shared_ptr<const SharedMemoryRegion> region = nullptr;
  uint64_t offset = 0;
  uint64_t byte_size = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_SHARED_MEMORY_REGIONS_H_
