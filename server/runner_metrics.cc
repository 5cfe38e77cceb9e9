#include "server/runner_metrics.h"

#include <chrono>

namespace predictd {

class RunnerMetrics::Version final : public RunnerObserver {
 public:
  Version(RunnerMetrics& metrics, const std::string& model, const std::string& version)
      : queued_(metrics.queued_.With({model, version})),
        running_(metrics.running_.With({model, version})),
        queue_seconds_(metrics.queue_seconds_.With({model, version})),
        compute_seconds_(metrics.compute_seconds_.With({model, version})),
        batch_rows_(metrics.batch_rows_.With({model, version})) {}

  void OnQueuedChange(int64_t by) override { queued_.Add(static_cast<double>(by)); }
  void OnRunningChange(int64_t by) override { running_.Add(static_cast<double>(by)); }
  void OnBatch(int64_t rows, Duration compute) override {
    batch_rows_.Observe(static_cast<double>(rows));
    compute_seconds_.Observe(std::chrono::duration<double>(compute).count());
  }
  void OnDequeued(Duration waited) override { queue_seconds_.Observe(std::chrono::duration<double>(waited).count()); }

 private:
  Gauge& queued_;
  Gauge& running_;
  Histogram& queue_seconds_;
  Histogram& compute_seconds_;
  Histogram& batch_rows_;
};

RunnerMetrics::RunnerMetrics(MetricsRegistry& registry)
    : queued_(registry.AddGauge("predictd_queue_depth", "Requests that wait for a worker.", {"model", "version"})),
      running_(
          registry.AddGauge("predictd_requests_running", "Requests in batches that run now.", {"model", "version"})),
      queue_seconds_(registry.AddHistogram("predictd_queue_seconds", "How long a request waited for a worker.",
                                           ExponentialBounds(0.00001, 2, 21), {"model", "version"})),
      compute_seconds_(registry.AddHistogram("predictd_compute_seconds", "How long a batch ran.",
                                             ExponentialBounds(0.00001, 2, 21), {"model", "version"})),
      batch_rows_(registry.AddHistogram("predictd_batch_rows", "Rows of a batch.", ExponentialBounds(1, 2, 13),
                                        {"model", "version"})) {}

RunnerObserver& RunnerMetrics::ForVersion(const std::string& model, int64_t version) {
  versions_.push_back(std::make_unique<Version>(*this, model, std::to_string(version)));
  return *versions_.back();
}

}  // namespace predictd
