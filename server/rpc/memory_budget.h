#ifndef PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_
#define PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_

#include <atomic>
#include <cstdint>
#include <utility>

namespace predictd {

// The memory that callers together may make the server hold: of their calls, requests and answers. Thread-safe, without
// locks.
class MemoryBudget {
 public:
  // `limit` in bytes.
  explicit MemoryBudget(int64_t limit) : limit_(limit) {}
  MemoryBudget(const MemoryBudget&) = delete;
  MemoryBudget& operator=(const MemoryBudget&) = delete;

  int64_t limit() const { return limit_; }
  int64_t used() const { return used_.load(std::memory_order_relaxed); }

  // Whether there was so much left; then it is taken.
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

// What one call has taken of a budget, and gives back when it ends. Used by one thread at a time.
class MemoryShare {
 public:
  explicit MemoryShare(MemoryBudget& budget) : budget_(budget) {}
  ~MemoryShare() { budget_.Give(bytes_); }
  MemoryShare(const MemoryShare&) = delete;
  MemoryShare& operator=(const MemoryShare&) = delete;

  int64_t bytes() const { return bytes_; }

  bool Take(int64_t bytes) {
    if (!budget_.Take(bytes)) return false;
    bytes_ += bytes;
    return true;
  }

 private:
  MemoryBudget& budget_;
  int64_t bytes_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_MEMORY_BUDGET_H_
