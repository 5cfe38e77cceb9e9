#include "server/torch/log.h"

#include <c10/util/Exception.h>
#include <torch/csrc/jit/runtime/print_handler.h>

#include <string>
#include <string_view>

#include "server/telemetry/library_log.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

class WarningLog final : public c10::WarningHandler {
 public:
  void process(const c10::Warning& warning) override {
    static LibraryLog log("torch");
    log.Report(LogLevel::kWarning, "a library or a model warns", warning.msg());
  }
};

void OnPrint(const std::string& text) {
  static LibraryLog log("torch", /*per_minute=*/60);
  std::string_view line = text;
  while (line.ends_with('\n')) line.remove_suffix(1);
  log.Report(LogLevel::kInfo, "a model prints", line);
}

}  // namespace

void RouteTorchLog() {
  // Never deleted, because threads may warn until the process ends.
  static c10::WarningHandler* const handler = new WarningLog;
  c10::WarningUtils::set_warning_handler(handler);
  torch::jit::setPrintHandler(OnPrint);
}

}  // namespace predictd
