#ifndef PREDICTD_SERVER_ENGINE_BATCH_COST_H_
#define PREDICTD_SERVER_ENGINE_BATCH_COST_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// How long a batch of a model takes, by its number of rows, learnt from the batches that ran: a smoothed time for each
// power of two, with a straight line between them. Thread-safe without locks; of two concurrent records one may be
// lost, which does not matter.
class BatchCost {
 public:
  // Records that a batch of `rows` took that long. The first batch of a size counts fully, later ones by an eighth.
  void Record(int64_t rows, Duration took);

  // The expected time of a batch of `rows`; zero while nothing is known. A size beyond those that ran costs as much as
  // the nearest one.
  Duration Estimate(int64_t rows) const;

  // The largest size, up to `limit`, at which a row costs about as little as at any size. Beyond it a batch only takes
  // longer, for instance because it no longer fits into the CPU's cache. Returns `limit` while that is not known.
  int64_t RowsThatPay(int64_t limit) const;

 private:
  // Bucket i holds sizes up to 2^i.
  static constexpr size_t kBuckets = 21;

  struct Bucket {
    // 0 means that no batch of this size has run.
    std::atomic<int64_t> nanos{0};
    // The average number of rows, in fractions of a row: an average of whole rows would get stuck between two values.
    std::atomic<int64_t> parts{0};

    double rows() const;
  };

  std::array<Bucket, kBuckets> buckets_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_COST_H_
