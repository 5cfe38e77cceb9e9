#include "server/engine/memory_forecast.h"

#include <algorithm>
#include <limits>

namespace predictd {
namespace {

// A number too large for an int64_t becomes the largest one.
int64_t Bytes(double bytes) {
  constexpr double kMost = 9e18;
  return bytes < kMost ? static_cast<int64_t>(bytes) : std::numeric_limits<int64_t>::max();
}

}  // namespace

void MemoryForecast::Record(int64_t rows, int64_t row_elements, int64_t bytes) {
  batches_.push_back({rows, row_elements, bytes});
}

int64_t MemoryForecast::Expect(int64_t rows, int64_t row_elements) const {
  if (batches_.empty()) return 0;
  int64_t least = 0;
  // The last two batches with rows of this size.
  const Batch* last = nullptr;
  const Batch* before = nullptr;
  for (const Batch& batch : batches_) {
    least = std::max(least, batch.bytes);
    if (batch.row_elements != row_elements || (last != nullptr && batch.rows <= last->rows)) continue;
    before = last;
    last = &batch;
  }
  if (last != nullptr && before != nullptr) {
    const double of_row =
        static_cast<double>(last->bytes - before->bytes) / static_cast<double>(last->rows - before->rows);
    return std::max(least, Bytes(static_cast<double>(last->bytes) + of_row * static_cast<double>(rows - last->rows)));
  }
  const Batch& nearest = last != nullptr ? *last : batches_.back();
  const double growth = static_cast<double>(rows) * static_cast<double>(row_elements) /
                        (static_cast<double>(nearest.rows) * static_cast<double>(nearest.row_elements));
  return std::max(least, Bytes(static_cast<double>(nearest.bytes) * growth));
}

}  // namespace predictd
