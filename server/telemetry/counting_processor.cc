#include "server/telemetry/counting_processor.h"

#include <opentelemetry/sdk/trace/batch_span_processor_factory.h>
#include <opentelemetry/sdk/trace/batch_span_processor_options.h>
#include <opentelemetry/sdk/trace/recordable.h>

#include <atomic>
#include <chrono>
#include <utility>

#include "server/telemetry/log_limiter.h"
#include "server/telemetry/otel_log.h"

namespace predictd {
namespace {

namespace sdk = opentelemetry::sdk;

using Waiting = std::atomic<size_t>;
using Spans = opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>;

// Counts which batches the exporter behind it exports, and which it does not.
class CountingExporter final : public sdk::trace::SpanExporter {
 public:
  CountingExporter(std::unique_ptr<CancellableExporter> exporter, std::shared_ptr<SpanCounts> counts,
                   std::shared_ptr<Waiting> waiting)
      : exporter_(std::move(exporter)), counts_(std::move(counts)), waiting_(std::move(waiting)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override { return exporter_->MakeRecordable(); }

  sdk::common::ExportResult Export(const Spans& spans) noexcept override {
    const sdk::common::ExportResult result = exporter_->Export(spans);
    const bool exported = result == sdk::common::ExportResult::kSuccess;
    (exported ? counts_->exported : counts_->not_exported).fetch_add(spans.size(), std::memory_order_relaxed);
    waiting_->fetch_sub(spans.size(), std::memory_order_relaxed);
    return result;
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return exporter_->ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return exporter_->Shutdown(timeout); }

 private:
  const std::unique_ptr<CancellableExporter> exporter_;
  const std::shared_ptr<SpanCounts> counts_;
  const std::shared_ptr<Waiting> waiting_;
};

// Passes spans on as long as no more wait than may, and counts the others.
class CountingProcessor final : public sdk::trace::SpanProcessor {
 public:
  CountingProcessor(std::unique_ptr<SpanProcessor> batches, size_t max_waiting, std::shared_ptr<SpanCounts> counts,
                    std::shared_ptr<Waiting> waiting)
      : batches_(std::move(batches)),
        max_waiting_(max_waiting),
        counts_(std::move(counts)),
        waiting_(std::move(waiting)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override { return batches_->MakeRecordable(); }

  void OnStart(sdk::trace::Recordable& span, const opentelemetry::trace::SpanContext& parent) noexcept override {
    batches_->OnStart(span, parent);
  }

  void OnEnd(std::unique_ptr<sdk::trace::Recordable>&& span) noexcept override {
    if (waiting_->fetch_add(1, std::memory_order_relaxed) < max_waiting_) return batches_->OnEnd(std::move(span));
    waiting_->fetch_sub(1, std::memory_order_relaxed);
    counts_->queue_full.fetch_add(1, std::memory_order_relaxed);
    // This is logged rarely: why the spans are exported too slowly is the better thing to log.
    if (!reports_.Admit(std::chrono::steady_clock::now()).has_value()) return;
    LogTracingProblem(LogLevel::kWarning, "spans were dropped: they are exported too slowly");
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return batches_->ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return batches_->Shutdown(timeout); }

 private:
  const std::unique_ptr<SpanProcessor> batches_;
  const size_t max_waiting_;
  const std::shared_ptr<SpanCounts> counts_;
  const std::shared_ptr<Waiting> waiting_;
  LogLimiter reports_{1, std::chrono::minutes(1)};
};

}  // namespace

std::unique_ptr<sdk::trace::SpanProcessor> MakeCountingProcessor(std::unique_ptr<CancellableExporter> exporter,
                                                                 const SpanBatching& batching,
                                                                 std::shared_ptr<SpanCounts> counts) {
  const auto waiting = std::make_shared<Waiting>(0);
  sdk::trace::BatchSpanProcessorOptions options;
  // This is one more than are ever let in.
  options.max_queue_size = batching.max_waiting + 1;
  options.max_export_batch_size = batching.max_batch;
  options.schedule_delay_millis = absl::ToChronoMilliseconds(batching.delay);
  return std::make_unique<CountingProcessor>(
      sdk::trace::BatchSpanProcessorFactory::Create(
          std::make_unique<CountingExporter>(std::move(exporter), counts, waiting), options),
      batching.max_waiting, counts, waiting);
}

}  // namespace predictd
