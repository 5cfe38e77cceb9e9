#ifndef PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_
#define PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace predictd {

// The memory that all callers together may make the server hold for their calls, requests and answers. Thread-safe,
// without locks.
class MemoryBudget {
 public:
  // `limit` is in bytes.
  explicit MemoryBudget(int64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  int64_t limit() const { return limit_; }
  int64_t used() const { return used_.load(std::memory_order_relaxed); }

  // Takes `bytes` if as many are left, and returns whether it did.
  bool Take(int64_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit_) return true;
    Give(bytes);
    return false;
  }
  void Give(int64_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

 private:
  const int64_t limit_;
  std::atomic<int64_t> used_{0};
};

// What one call or message has taken of a budget; it gives everything back when it is destroyed. Used by one thread at
// a time.
class MemoryShare {
 public:
  explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
  ~MemoryShare() { budget_.Give(bytes_); }
  MemoryShare(MemoryShare&& other) noexcept : budget_(other.budget_), bytes_(std::exchange(other.bytes_, 0)) {}
  MemoryShare& operator=(MemoryShare&&) = delete;

  int64_t bytes() const { return bytes_; }

  bool Take(int64_t bytes) {
    if (!budget_.Take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }
  void GiveAllBack() { budget_.Give(std::exchange(bytes_, 0)); }

 private:
  MemoryBudget& budget_;
  int64_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_
