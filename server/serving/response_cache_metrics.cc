#include "server/serving/response_cache_metrics.h"

namespace predictd {

class ResponseCacheMetrics::Version final : public ResponseCacheObserver {
 public:
  Version(ResponseCacheMetrics& metrics, const std::string& model, const std::string& version)
      : hits_(metrics.hits_.Share({model, version})),
        misses_(metrics.misses_.Share({model, version})),
        evictions_(metrics.evictions_.Share({model, version})),
        entries_(metrics.entries_.Share({model, version})),
        bytes_(metrics.bytes_.Share({model, version})) {}

  void OnLookup(bool hit) override { (hit ? hits_ : misses_)->Increment(); }
  void OnSizeChange(int64_t entries, int64_t bytes) override {
    entries_->Add(static_cast<double>(entries));
    bytes_->Add(static_cast<double>(bytes));
  }
  void OnEvicted(int64_t entries) override { evictions_->Increment(static_cast<uint64_t>(entries)); }

 private:
  std::shared_ptr<Counter> hits_;
  std::shared_ptr<Counter> misses_;
  std::shared_ptr<Counter> evictions_;
  std::shared_ptr<Gauge> entries_;
  std::shared_ptr<Gauge> bytes_;
};

ResponseCacheMetrics::ResponseCacheMetrics(MetricsRegistry& registry)
    : hits_(registry.AddCounter("predictd_response_cache_hits_total", "Requests answered from the response cache.",
                                {"model", "version"})),
      misses_(registry.AddCounter("predictd_response_cache_misses_total",
                                  "Requests that were looked for in the response cache and not found.",
                                  {"model", "version"})),
      evictions_(registry.AddCounter("predictd_response_cache_evictions_total",
                                     "Answers that left the response cache to make room.", {"model", "version"})),
      entries_(
          registry.AddGauge("predictd_response_cache_entries", "Answers in the response cache.", {"model", "version"})),
      bytes_(registry.AddGauge("predictd_response_cache_bytes", "Memory that the response cache's entries take.",
                               {"model", "version"})) {}

std::shared_ptr<ResponseCacheObserver> ResponseCacheMetrics::ForVersion(const std::string& model, int64_t version) {
  return std::make_shared<Version>(*this, model, std::to_string(version));
}

}  // namespace predictd
