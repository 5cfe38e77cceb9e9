#include "tests/fakes/failing_allocations.h"

#include <cstddef>
#include <cstdlib>
#include <new>

namespace {

struct State {
  bool armed = false;
  bool from_then_on = false;
  bool failed = false;
  int paused = 0;
  int64_t left = 0;
};

thread_local State state;
thread_local int64_t live = 0;

bool Fails() {
  if (!state.armed || state.paused > 0) return false;
  if (state.failed) return state.from_then_on;
  if (state.left-- > 0) return false;
  state.failed = true;
  return true;
}

void* Allocate(size_t size, size_t alignment) {
  if (Fails()) return nullptr;
  ++live;
  // The size must be a multiple of the alignment.
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(size > 0 ? size : 1)
             : std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
}

void Free(void* memory) {
  if (memory != nullptr) --live;
  std::free(memory);
}

void* AllocateOrThrow(size_t size, size_t alignment) {
  void* const memory = Allocate(size, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

}  // namespace

// The array forms call these.
void* operator new(size_t size) {
  return AllocateOrThrow(size, 1);
}
void* operator new(size_t size, std::align_val_t alignment) {
  return AllocateOrThrow(size, static_cast<size_t>(alignment));
}
void* operator new(size_t size, const std::nothrow_t& /*tag*/) noexcept {
  return Allocate(size, 1);
}
void operator delete(void* memory) noexcept {
  Free(memory);
}
void operator delete(void* memory, size_t /*size*/) noexcept {
  Free(memory);
}
void operator delete(void* memory, std::align_val_t /*alignment*/) noexcept {
  Free(memory);
}
void operator delete(void* memory, size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
  Free(memory);
}
void operator delete(void* memory, const std::nothrow_t& /*tag*/) noexcept {
  Free(memory);
}

namespace predictd {

FailingAllocations::FailingAllocations(int64_t after, bool from_then_on) {
  state = {.armed = true, .from_then_on = from_then_on, .left = after};
}

FailingAllocations::~FailingAllocations() {
  state = {};
}

bool FailingAllocations::failed() const {
  return state.failed;
}

int64_t FailingAllocations::Live() {
  return live;
}

FailingAllocations::Pause::Pause() {
  ++state.paused;
}

FailingAllocations::Pause::~Pause() {
  --state.paused;
}

}  // namespace predictd
