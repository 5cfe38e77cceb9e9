#include <opentelemetry/exporters/otlp/otlp_grpc_exporter_factory.h>
#include <opentelemetry/exporters/otlp/otlp_grpc_exporter_options.h>
#include <opentelemetry/ext/http/common/url_parser.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/telemetry/span_exporter.h"

namespace predictd {
namespace {

namespace otlp = opentelemetry::exporter::otlp;
namespace sdk = opentelemetry::sdk;

// Lets the library's exporter be cut short between two batches. A batch in progress ends by its own timeout.
class OtlpGrpcExporter final : public CancellableExporter {
 public:
  explicit OtlpGrpcExporter(const otlp::OtlpGrpcExporterOptions& options)
      : exporter_(otlp::OtlpGrpcExporterFactory::Create(options)) {}

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override { return exporter_->MakeRecordable(); }

  sdk::common::ExportResult Export(
      const opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>& spans) noexcept override {
    if (cancelled_.load(std::memory_order_relaxed)) return sdk::common::ExportResult::kFailure;
    return exporter_->Export(spans);
  }

  bool ForceFlush(std::chrono::microseconds timeout) noexcept override { return exporter_->ForceFlush(timeout); }
  bool Shutdown(std::chrono::microseconds timeout) noexcept override { return exporter_->Shutdown(timeout); }
  void Cancel() override { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  const std::unique_ptr<sdk::trace::SpanExporter> exporter_;
  std::atomic<bool> cancelled_{false};
};

}  // namespace

absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeOtlpGrpcExporter(const std::string& endpoint,
                                                                          absl::Duration timeout) {
  const bool tls = endpoint.starts_with("https://");
  const size_t authority = tls ? 8 : 7;
  const opentelemetry::ext::http::common::UrlParser url(endpoint);
  if ((!tls && !endpoint.starts_with("http://")) || !url.success_ || url.host_.empty() || url.port_ == 0 ||
      endpoint.find(':', authority) == std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrCat("OTLP endpoint '", endpoint, "' is not of the form http://host:port or https://host:port"));
  }
  otlp::OtlpGrpcExporterOptions options;
  options.endpoint = endpoint;
  options.use_ssl_credentials = tls;
  options.timeout = absl::ToChronoNanoseconds(timeout);
  return std::make_unique<OtlpGrpcExporter>(options);
}

}  // namespace predictd
