#include <fcntl.h>
#include <opentelemetry/sdk/trace/span_data.h>
#include <stdio.h>
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

absl::Status NotRegular(const std::string& path) {
  return absl::InvalidArgumentError(absl::StrCat("trace file '", path, "' is not a regular file"));
}

// Opens a regular file for appending. It uses O_NONBLOCK because opening a pipe would wait for the pipe's reader.
absl::StatusOr<int> OpenTraceFile(const std::string& path, int64_t& size) {
  struct stat file {};
  if (stat(path.c_str(), &file) == 0 && !S_ISREG(file.st_mode)) return NotRegular(path);
  const int fd = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0644);
  if (fd < 0) {
    return absl::UnavailableError(absl::StrCat("trace file '", path, "' cannot be opened: ", std::strerror(errno)));
  }
  if (fstat(fd, &file) != 0 || !S_ISREG(file.st_mode)) {
    close(fd);
    return NotRegular(path);
  }
  size = file.st_size;
  return fd;
}

// Appends lines to an open file, and starts a new one when it is full. Debian's opentelemetry-cpp has the headers of
// the OTLP file exporter, but not its library.
class FileExporter final : public CancellableExporter {
 public:
  // Takes over `fd`.
  FileExporter(const TraceFile& file, int fd, int64_t size) : file_(file), fd_(fd), size_(size) {}
  ~FileExporter() override { close(fd_); }

  std::unique_ptr<sdk::trace::Recordable> MakeRecordable() noexcept override {
    return std::make_unique<sdk::trace::SpanData>();
  }

  sdk::common::ExportResult Export(
      const opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>& spans) noexcept override {
    if (cancelled_.load(std::memory_order_relaxed) || spans.empty()) return sdk::common::ExportResult::kFailure;
    try {
      return Write(spans);
    } catch (const std::exception&) {
      // There is no memory for the text. These spans are lost, and counted like other lost ones.
      return sdk::common::ExportResult::kFailure;
    }
  }

  bool ForceFlush(std::chrono::microseconds /*timeout*/) noexcept override { return true; }

  bool Shutdown(std::chrono::microseconds /*timeout*/) noexcept override {
    Cancel();
    return true;
  }

  void Cancel() override { cancelled_.store(true, std::memory_order_relaxed); }

 private:
  using Spans = opentelemetry::nostd::span<std::unique_ptr<sdk::trace::Recordable>>;

  sdk::common::ExportResult Write(const Spans& spans) {
    const std::string line = ToOtlpJsonLine(spans);
    const auto bytes = static_cast<int64_t>(line.size());
    if (size_ + bytes > file_.max_bytes && size_ > 0) Rotate();
    if (size_ + bytes > file_.max_bytes) {
      LogTracingProblem(LogLevel::kWarning, "spans were dropped: the trace file is full", file_.path);
      return sdk::common::ExportResult::kFailureFull;
    }
    // What a failed write has left behind must not join with the next line.
    if ((torn_ && !Append("\n")) || !Append(line)) {
      torn_ = true;
      LogTracingProblem(LogLevel::kWarning, "spans were dropped: the trace file cannot be written",
                        absl::StrCat(file_.path, ": ", std::strerror(errno)));
      return sdk::common::ExportResult::kFailure;
    }
    torn_ = false;
    return sdk::common::ExportResult::kSuccess;
  }

  // Renames FILE to FILE.1, which was renamed to FILE.2 before, and so on; the oldest is replaced. If that fails, it is
  // tried again with the next batch, and the file stays full until then.
  void Rotate() {
    const auto name = [this](int age) { return age == 0 ? file_.path : absl::StrCat(file_.path, ".", age); };
    for (int age = file_.older_files; age > 0; --age) {
      if (rename(name(age - 1).c_str(), name(age).c_str()) != 0 && errno != ENOENT) return ReportRotation(errno);
    }
    if (file_.older_files == 0 && unlink(file_.path.c_str()) != 0 && errno != ENOENT) return ReportRotation(errno);
    const absl::StatusOr<int> opened = OpenTraceFile(file_.path, size_);
    if (!opened.ok()) return LogTracingProblem(LogLevel::kWarning, std::string(opened.status().message()));
    close(fd_);
    fd_ = *opened;
    torn_ = false;
  }

  void ReportRotation(int error) const {
    LogTracingProblem(LogLevel::kWarning, "the trace file is full and cannot be moved aside",
                      absl::StrCat(file_.path, ": ", std::strerror(error)));
  }

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

  const TraceFile file_;
  std::atomic<bool> cancelled_{false};
  // Used by the exporting thread only.
  int fd_;
  int64_t size_;
  bool torn_ = false;
};

}  // namespace

absl::StatusOr<std::unique_ptr<CancellableExporter>> MakeFileExporter(const TraceFile& file) {
  int64_t size = 0;
  const absl::StatusOr<int> fd = OpenTraceFile(file.path, size);
  if (!fd.ok()) return fd.status();
  return std::make_unique<FileExporter>(file, *fd, size);
}

}  // namespace predictd
