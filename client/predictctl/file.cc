#include "client/predictctl/file.h"

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

struct FileFormat {
  absl::string_view start;
  absl::string_view advice;
};

constexpr FileFormat kFormats[] = {
    {"PK\x03\x04", "a zip archive, as .npz and .pt files are: save a single array with numpy.save"},
    {"PK\x05\x06", "an empty zip archive: save a single array with numpy.save"},
    {"\x89HDF", "an HDF5 file: save a single array with numpy.save"},
    {"\x89PNG", "a PNG image: save its pixels, as the model wants them, with numpy.save"},
    {"\xff\xd8\xff", "a JPEG image: save its pixels, as the model wants them, with numpy.save"},
    {"GIF8", "a GIF image: save its pixels, as the model wants them, with numpy.save"},
    {"RIFF", "a RIFF file (WAV, WebP): save its samples, as the model wants them, with numpy.save"},
    {"\x1f\x8b", "compressed with gzip: unpack it first"},
    {"(\xb5/\xfd", "compressed with zstd: unpack it first"},
    {"\x80\x02", "a Python pickle: save the array with numpy.save"},
    {"\x80\x03", "a Python pickle: save the array with numpy.save"},
    {"\x80\x04", "a Python pickle: save the array with numpy.save"},
    {"\x80\x05", "a Python pickle: save the array with numpy.save"},
};

// Whether there are control characters that no text has.
bool IsBinary(absl::string_view content) {
  constexpr std::size_t kEnough = 512;
  const absl::string_view start = content.substr(0, kEnough);
  return std::any_of(start.begin(), start.end(), [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte < 0x20 && c != '\t' && c != '\n' && c != '\r' && c != '\f';
  });
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, std::size_t largest) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  std::string content;
  char block[1 << 16];
  while (file.read(block, sizeof(block)) || file.gcount() > 0) {
    content.append(block, static_cast<std::size_t>(file.gcount()));
    if (content.size() > largest) {
      return absl::InvalidArgumentError(absl::StrCat("it has more than ", largest, " bytes"));
    }
  }
  // A folder can be opened, but not read.
  if (file.eof()) return content;
  return absl::InvalidArgumentError(absl::StrCat("cannot be read: ", std::strerror(errno)));
}

std::string ForeignFormat(absl::string_view content) {
  for (const FileFormat& format : kFormats) {
    if (absl::StartsWith(content, format.start)) return std::string(format.advice);
  }
  return IsBinary(content) ? "neither an .npy file nor JSON" : "";
}

}  // namespace predictd
