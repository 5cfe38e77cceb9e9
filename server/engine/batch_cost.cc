#include "server/engine/batch_cost.h"

#include <algorithm>
#include <bit>

namespace predictd {
namespace {

constexpr int64_t kWeight = 8;

size_t BucketOf(int64_t rows, size_t buckets) {
  return std::min<size_t>(std::bit_width(static_cast<uint64_t>(std::max<int64_t>(rows, 1) - 1)), buckets - 1);
}

void Smooth(int64_t value, std::atomic<int64_t>& average) {
  const int64_t old = average.load(std::memory_order_relaxed);
  average.store(old == 0 ? value : old + (value - old) / kWeight, std::memory_order_relaxed);
}

}  // namespace

void BatchCost::Record(int64_t rows, Duration took) {
  Bucket& bucket = buckets_[BucketOf(rows, kBuckets)];
  Smooth(rows, bucket.rows);
  Smooth(std::max<int64_t>(1, std::chrono::nanoseconds(took).count()), bucket.nanos);
}

Duration BatchCost::Estimate(int64_t rows) const {
  // The known sizes next to this one, below and above.
  int64_t below_rows = 0;
  int64_t below_nanos = 0;
  for (const Bucket& bucket : buckets_) {
    const int64_t nanos = bucket.nanos.load(std::memory_order_relaxed);
    if (nanos == 0) continue;
    const int64_t at = std::max<int64_t>(1, bucket.rows.load(std::memory_order_relaxed));
    if (at < rows) {
      below_rows = at;
      below_nanos = nanos;
      continue;
    }
    if (below_nanos == 0 || at == below_rows) return Duration(nanos);
    const double part = static_cast<double>(rows - below_rows) / static_cast<double>(at - below_rows);
    return Duration(below_nanos + static_cast<int64_t>(part * static_cast<double>(nanos - below_nanos)));
  }
  return Duration(below_nanos);
}

}  // namespace predictd
