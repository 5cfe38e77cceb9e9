// What copying a tensor out of shared memory and into it costs: as a file, as the server does, and through a mapping.
#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "server/services/copy_memory.h"
#include "server/services/shared_memory_regions.h"

namespace predictd {
namespace {

// An object of shared memory that is registered and mapped.
class Object {
 public:
  explicit Object(size_t bytes) : bytes_(bytes) {
    const int object = shm_open(key_.c_str(), O_RDWR | O_CREAT, 0600);
    if (object < 0 || ftruncate(object, static_cast<off_t>(bytes)) != 0) std::abort();
    mapped_ = static_cast<std::byte*>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, object, 0));
    if (mapped_ == MAP_FAILED || !regions_.Register("region", key_, 0, bytes).ok()) std::abort();
    std::memset(mapped_, 1, bytes);
    close(object);
  }
  ~Object() {
    munmap(mapped_, bytes_);
    shm_unlink(key_.c_str());
  }
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;

  const SharedMemoryRegion& region() const { return *regions_.Find("region"); }
  std::byte* mapped() const { return mapped_; }

 private:
  const std::string key_ = absl::StrCat("/predictd-bench-", getpid());
  const size_t bytes_;
  std::byte* mapped_ = nullptr;
  Reaper reaper_;
  SharedMemoryRegions regions_{{}, reaper_};
};

// `copy(object, own)` copies between the object and memory of our own, which is new to the process each time, as it is
// to the server.
template <class Copy>
void Run(benchmark::State& state, Copy copy) {
  const auto bytes = static_cast<size_t>(state.range(0));
  const Object object(bytes);
  for (auto _ : state) {
    const std::shared_ptr<std::byte> own = AllocateCopy(bytes);
    copy(object, absl::Span<std::byte>(own.get(), bytes));
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void BM_ReadAsFile(benchmark::State& state) {
  Run(state, [](const Object& object, absl::Span<std::byte> own) {
    if (!object.region().Read(0, own).ok()) std::abort();
  });
}
void BM_ReadMapped(benchmark::State& state) {
  Run(state,
      [](const Object& object, absl::Span<std::byte> own) { std::memcpy(own.data(), object.mapped(), own.size()); });
}

// The same from memory that is there, as outputs are.
template <class Copy>
void RunFrom(benchmark::State& state, Copy copy) {
  const Object object(static_cast<size_t>(state.range(0)));
  const std::vector<std::byte> own(static_cast<size_t>(state.range(0)));
  for (auto _ : state) {
    copy(object, own);
    benchmark::ClobberMemory();
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * state.range(0));
}

void BM_WriteAsFile(benchmark::State& state) {
  RunFrom(state, [](const Object& object, const std::vector<std::byte>& own) {
    if (!object.region().Write(0, own).ok()) std::abort();
  });
}
void BM_WriteMapped(benchmark::State& state) {
  RunFrom(state, [](const Object& object, const std::vector<std::byte>& own) {
    std::memcpy(object.mapped(), own.data(), own.size());
  });
}

// Bytes.
void Sizes(benchmark::internal::Benchmark* benchmark) {
  for (const int64_t bytes : {4096, 65'536, 1'000'000, 50'000'000}) benchmark->Arg(bytes);
}

BENCHMARK(BM_ReadAsFile)->Apply(Sizes);
BENCHMARK(BM_ReadMapped)->Apply(Sizes);
BENCHMARK(BM_WriteAsFile)->Apply(Sizes);
BENCHMARK(BM_WriteMapped)->Apply(Sizes);

}  // namespace
}  // namespace predictd
