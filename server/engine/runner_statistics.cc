#include "server/engine/runner_statistics.h"

#include <algorithm>

namespace predictd {

void RunnerStatistics::AtomicSum::Add(Duration took) {
  count.fetch_add(1, std::memory_order_relaxed);
  nanos.fetch_add(took.count(), std::memory_order_relaxed);
}

RunnerStatistics::Sum RunnerStatistics::AtomicSum::Read() const {
  return {.count = count.load(std::memory_order_relaxed), .time = Duration(nanos.load(std::memory_order_relaxed))};
}

RunnerStatistics::RunnerStatistics(int64_t max_rows)
    : most_rows_(std::min(max_rows, kMostRows)),
      by_rows_(std::make_unique<AtomicSum[]>(static_cast<size_t>(most_rows_))) {}

void RunnerStatistics::OnBatch(int64_t rows, TimePoint started, TimePoint ended) {
  batches_.fetch_add(1, std::memory_order_relaxed);
  rows_.fetch_add(rows, std::memory_order_relaxed);
  last_.store(ended, std::memory_order_relaxed);
  // A batch of no rows is possible, too.
  if (rows >= 1 && rows <= most_rows_) by_rows_[static_cast<size_t>(rows - 1)].Add(ended - started);
}

void RunnerStatistics::OnAnswered(const InferenceTimings& timings) {
  answered_.Add(timings.ended - timings.enqueued);
  queued_nanos_.fetch_add((timings.started - timings.enqueued).count(), std::memory_order_relaxed);
  computed_nanos_.fetch_add((timings.ended - timings.started).count(), std::memory_order_relaxed);
}

void RunnerStatistics::OnFailed(Duration took, bool broken) {
  failed_.Add(took);
  if (broken) broken_.fetch_add(1, std::memory_order_relaxed);
}

RunnerStatistics::Snapshot RunnerStatistics::Read() const {
  Snapshot snapshot = {.answered = answered_.Read(),
                       .queued = Duration(queued_nanos_.load(std::memory_order_relaxed)),
                       .computed = Duration(computed_nanos_.load(std::memory_order_relaxed)),
                       .failed = failed_.Read(),
                       .broken = broken_.load(std::memory_order_relaxed),
                       .batches = batches_.load(std::memory_order_relaxed),
                       .rows = rows_.load(std::memory_order_relaxed),
                       .last = last_.load(std::memory_order_relaxed),
                       .by_rows = {}};
  for (int64_t rows = 1; rows <= most_rows_; ++rows) {
    const Sum runs = by_rows_[static_cast<size_t>(rows - 1)].Read();
    if (runs.count > 0) snapshot.by_rows.push_back({.rows = rows, .runs = runs});
  }
  return snapshot;
}

}  // namespace predictd
