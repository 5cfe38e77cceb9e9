#include "client/predictctl/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "client/predictctl/npy.h"

namespace predictd {
namespace {

absl::StatusOr<v1::Tensor> Choose(const OutputFile& file, const std::vector<v1::Tensor>& outputs) {
  if (file.output.empty() && outputs.size() == 1) return outputs.front();
  const auto found = std::find_if(outputs.begin(), outputs.end(),
                                  [&file](const v1::Tensor& tensor) { return tensor.name() == file.output; });
  if (found != outputs.end()) return *found;
  const std::string names = absl::StrJoin(
      outputs, ", ", [](std::string* out, const v1::Tensor& tensor) { absl::StrAppend(out, "'", tensor.name(), "'"); });
  if (file.output.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("the answer has the outputs ", names, ": say which one, as in --out NAME=", file.path));
  }
  return absl::InvalidArgumentError(absl::StrCat("the answer has no output '", file.output, "', only ", names));
}

absl::Status SystemError() {
  return absl::UnavailableError(std::strerror(errno));
}

// Writes all of the content and closes the file.
absl::Status WriteAndClose(int file, absl::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      absl::Status failed = SystemError();
      close(file);
      return failed;
    }
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return close(file) == 0 ? absl::OkStatus() : SystemError();
}

// Makes a file beside `path` that nobody else has, and sets `name`; -1, with errno, if there can be none.
int CreateBeside(const std::string& path, std::string& name) {
  constexpr int kAttempts = 1000;
  static std::atomic<int> files = 0;
  for (int i = 0; i < kAttempts; ++i) {
    name = absl::StrCat(path, ".", getpid(), "-", ++files);
    // Not mkstemp, whose files nobody else may read.
    const int file = open(name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EEXIST) return file;
  }
  return -1;
}

// Replaces the file, or what a link at its place leads to, at once: nobody ever sees half of it, and if writing fails
// the old one is still there.
absl::Status ReplaceFile(const std::string& path, absl::string_view content) {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::weakly_canonical(path, error);
  const std::string name = error ? path : target.string();
  std::string partial;
  const int file = CreateBeside(name, partial);
  if (file < 0) return SystemError();
  absl::Status written = WriteAndClose(file, content);
  if (written.ok() && std::rename(partial.c_str(), name.c_str()) != 0) written = SystemError();
  if (!written.ok()) std::remove(partial.c_str());
  return written;
}

absl::Status WriteFile(const std::string& path, const std::string& content) {
  struct stat found {};
  const bool exists = stat(path.c_str(), &found) == 0;
  if (!exists || S_ISREG(found.st_mode)) return ReplaceFile(path, content);
  // A pipe or a device is there to be written to.
  const int file = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  return file < 0 ? SystemError() : WriteAndClose(file, content);
}

}  // namespace

absl::StatusOr<OutputFile> ParseOutputFile(const std::string& text) {
  const std::size_t equals = text.find('=');
  OutputFile file{.output = "", .path = text};
  if (equals != std::string::npos && !absl::StrContains(text.substr(0, equals), "/")) {
    file = {.output = text.substr(0, equals), .path = text.substr(equals + 1)};
  }
  if (!absl::EndsWith(file.path, ".npy")) {
    return absl::InvalidArgumentError(absl::StrCat("expected [NAME=]FILE.npy, got '", text, "'"));
  }
  return file;
}

absl::Status SaveOutputs(const std::vector<OutputFile>& files, const std::vector<v1::Tensor>& outputs) {
  for (const OutputFile& file : files) {
    absl::StatusOr<v1::Tensor> tensor = Choose(file, outputs);
    absl::StatusOr<std::string> content = tensor.ok() ? FormatNpy(*std::move(tensor)) : tensor.status();
    const absl::Status written = content.ok() ? WriteFile(file.path, *content) : content.status();
    if (!written.ok()) {
      return absl::Status(written.code(), absl::StrCat("cannot save '", file.path, "': ", written.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
