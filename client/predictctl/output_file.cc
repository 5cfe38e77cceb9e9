#include "client/predictctl/output_file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
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

// Through a neighbouring file, so that no one ever sees half of it.
absl::Status WriteFile(const std::string& path, const std::string& content) {
  const std::string partial = path + ".part";
  errno = 0;
  std::ofstream file(partial, std::ios::binary | std::ios::trunc);
  file.write(content.data(), static_cast<std::streamsize>(content.size()));
  file.close();
  if (file.fail() || std::rename(partial.c_str(), path.c_str()) != 0) {
    const int error = errno;
    std::remove(partial.c_str());
    return absl::UnavailableError(std::strerror(error));
  }
  return absl::OkStatus();
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
