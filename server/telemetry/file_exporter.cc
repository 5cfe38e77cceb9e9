#include <fcntl.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/telemetry/otel_log.h"
#include "server/telemetry/otlp_json.h"
#include "server/telemetry/span_exporter.h"

namespace predictd {
namespace {

namespace sdk = opentelemetry::sdk;

// Appends lines to an open file. Debian's opentelemetry-cpp has the headers of the OTLP file exporter, but not its
// library.
class FileExporter final : public CancellableExporter {
 public:
  // Takes over `fd`.
  FileExporter(std::string path, int fd, int64_t size, int64_t max_bytes)
      : path_(std::move(path)), fd_(fd), max_bytes_(max_bytes), size_(size) {}
  ~FileExporter() override { close(fd_); }

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::trace::SpanData>();
  }

  sdk::common::ExportResult Export(
      const opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>& spans) noexcept override {
    if (cancelled_.load(std::memory_order_relaxed) || spans.empty()) return sdk::common::ExportResult::kFailure;
    const std::string line = ToOtlpJsonLine(spans);
    if (size_ + static_cast<int64_t>(line.size()) > max_bytes_) {
      LogTracingProblem(LogLevel::kWarning, "spans were dropped: the trace file is full", path_);
      return sdk::common::ExportResult::kFailureFull;
    }
    // What a failed write left behind must not join with the next line.
    if ((torn_ && !Append("\n")) || !Append(line)) {
      torn_ = true;
      LogTracingProblem(LogLevel::kWarning, "spans were dropped: the trace file cannot be written",
                        absl::StrCat(path_, ": ", std::strerror(errno)));
      return sdk::common::ExportResult::kFailure;
    }
    torn_ = false;
    return sdk::common::ExportResult::kSuccess;
  }

  bool ForceFlush(std::chrono::microseconds /*timeout*/) noexcept override { return true; }

  bool Shutdown(std::chrono::microseconds /*timeout*/) noexcept override {
    Cancel();
    return true;
  }

  void Cancel() override { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  bool Append(std::string_view text) {
    while (!text.empty()) {
      const ssize_t written = write(fd_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return false;
      text.remove_prefix(static_cast<size_t>(written));
      size_ += written;
    }
    return true;
  }

  const std::string path_;
  const int fd_;
  const int64_t max_bytes_;
  std::atomic<bool> cancelled_{false};
  // Of the exporting thread.
  int64_t size_;
  bool torn_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeFileExporter(const std::string& path, int64_t max_bytes) {
  // O_NONBLOCK: opening a pipe would wait for its reader.
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("trace file '", path, "' cannot be opened: ", std::strerror(errno)));
  }
  struct stat file {};
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
    close(fd);
    return absl::InvalidArgumentError(absl::StrCat("trace file '", path, "' is not a regular file"));
  }
  return std::make_unique<FileExporter>(path, fd, file.st_size, max_bytes);
}

}  // namespace predictd
