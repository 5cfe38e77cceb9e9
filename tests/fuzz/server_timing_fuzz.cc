// Trailers that may be server-timing.
#include <cstddef>
#include <cstdint>

#include "client/predictctl/call_report.h"
#include "client/server_timing.h"
#include "tests/fuzz/require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view header(reinterpret_cast<const char*>(data), size);
  predictd::CallInfo info;
  info.timings = predictd::ParseServerTiming(header);
  predictd::Require(info.timings.size() <= size, "there are no more entries than characters");
  for (const predictd::TimingMetric& metric : info.timings) {
    predictd::Require(!metric.name.empty(), "entries have names");
    predictd::Require(predictd::FindTiming(info.timings, metric.name) != nullptr, "entries are found by their names");
  }
  predictd::TimingsText(info);
  return 0;
}
