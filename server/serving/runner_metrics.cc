#include "server/serving/runner_metrics.h"

#include <chrono>

namespace predictd {

class RunnerMetrics::Version final : public RunnerObserver {
 public:
  Version(RunnerMetrics& metrics, const std::string& model, const std::string& version)
      : queued_(metrics.queued_.Share({model, version})),
        running_(metrics.running_.Share({model, version})),
        queue_seconds_(metrics.queue_seconds_.Share({model, version})),
        compute_seconds_(metrics.compute_seconds_.Share({model, version})),
        batch_rows_(metrics.batch_rows_.Share({model, version})) {}

  void OnQueuedChange(int64_t by) override { queued_->Add(static_cast<double>(by)); }
  void OnRunningChange(int64_t by) override { running_->Add(static_cast<double>(by)); }
  void OnBatch(int64_t rows, Duration compute) override {
    batch_rows_->Observe(static_cast<double>(rows));
    compute_seconds_->Observe(ToSeconds(compute));
  }
  void OnDequeued(Duration waited) override { queue_seconds_->Observe(ToSeconds(waited)); }

 private:
  std::shared_ptr<Gauge> queued_;
  std::shared_ptr<Gauge> running_;
  std::shared_ptr<Histogram> queue_seconds_;
  std::shared_ptr<Histogram> compute_seconds_;
  std::shared_ptr<Histogram> batch_rows_;
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

std::shared_ptr<RunnerObserver> RunnerMetrics::ForVersion(const std::string& model, int64_t version) {
  return std::make_shared<Version>(*this, model, std::to_string(version));
}

}  // namespace predictd
