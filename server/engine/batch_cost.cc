#include "server/engine/batch_cost.h"

#include <algorithm>
#include <bit>
#include <limits>

namespace predictd {
namespace {

constexpr int64_t kWeight = 8;
constexpr int64_t kPartsOfRow = 256;
// Up to 1.02 times the least, a row costs about as little.
constexpr double kAboutAsLittle = 1.02;

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
  Smooth(rows * kPartsOfRow, bucket.parts);
  Smooth(std::max<int64_t>(1, std::chrono::nanoseconds(took).count()), bucket.nanos);
}

double BatchCost::Bucket::rows() const {
  return std::max(1.0, static_cast<double>(parts.load(std::memory_order_relaxed)) / kPartsOfRow);
}

Duration BatchCost::Estimate(int64_t rows) const {
  const auto wanted = static_cast<double>(rows);
  // The nearest known sizes below and above `rows`.
  double below_rows = 0;
  int64_t below_nanos = 0;
  for (const Bucket& bucket : buckets_) {
    const int64_t nanos = bucket.nanos.load(std::memory_order_relaxed);
    if (nanos == 0) continue;
    const double at = bucket.rows();
    if (at < wanted) {
      below_rows = at;
      below_nanos = nanos;
      continue;
    }
    if (below_nanos == 0 || at == below_rows) return Duration(nanos);
    const double part = (wanted - below_rows) / (at - below_rows);
    return Duration(below_nanos + static_cast<int64_t>(part * static_cast<double>(nanos - below_nanos)));
  }
  return Duration(below_nanos);
}

int64_t BatchCost::RowsThatPay(int64_t limit) const {
  const size_t last = BucketOf(limit, kBuckets);
  if (buckets_[last].nanos.load(std::memory_order_relaxed) == 0) return limit;
  std::array<double, kBuckets> of_row{};
  double least = std::numeric_limits<double>::max();
  for (size_t i = 0; i <= last; ++i) {
    const int64_t nanos = buckets_[i].nanos.load(std::memory_order_relaxed);
    of_row[i] = nanos == 0 ? std::numeric_limits<double>::max() : static_cast<double>(nanos) / buckets_[i].rows();
    least = std::min(least, of_row[i]);
  }
  size_t best = last;
  while (of_row[best] > least * kAboutAsLittle) --best;
  return std::min(limit, int64_t{1} << best);
}

}  // namespace predictd
