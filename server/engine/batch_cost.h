#ifndef PREDICTD_SERVER_ENGINE_BATCH_COST_H_
#define PREDICTD_SERVER_ENGINE_BATCH_COST_H_

#include <array>
#include <atomic>
#include <cstdint>

#include "server/async/clock.h"

namespace predictd {

// How long a batch of a model takes, by its rows, learnt from those that ran: a smoothed time for each power of two,
// and a straight line between them. Thread-safe without locks; of two records at once one may be lost, which does not
// matter.
class BatchCost {
 public:
  // A batch of `rows` took that long. The first of its size counts fully, later ones by an eighth.
  void Record(int64_t rows, Duration took);

  // What a batch of `rows` is expected to take; zero while nothing is known. Sizes beyond those that ran cost as much
  // as the nearest one.
  Duration Estimate(int64_t rows) const;

  // The largest size, at most `limit`, at which a row costs about as little as at any: beyond it a batch only takes
  // longer, as on a CPU whose cache it has left. `limit` while nothing is known of that.
  int64_t RowsThatPay(int64_t limit) const;

 private:
  // Sizes up to 2^i.
  static constexpr size_t kBuckets = 21;

  struct Bucket {
    // 0: none ran.
    std::atomic<int64_t> nanos{0};
    // In parts of a row, or their average would stand still between whole ones.
    std::atomic<int64_t> parts{0};

    double rows() const;
  };

  std::array<Bucket, kBuckets> buckets_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_BATCH_COST_H_
