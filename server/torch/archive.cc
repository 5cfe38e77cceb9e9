#include "server/torch/archive.h"

#include <algorithm>
#include <fstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"

namespace predictd {
namespace {

constexpr char kCompile[] = "compile it with torch._inductor.aoti_compile_and_package";

bool Any(const std::vector<std::string>& records, absl::string_view prefix, absl::string_view suffix = "") {
  return std::any_of(records.begin(), records.end(), [&](const std::string& record) {
    return absl::StartsWith(record, prefix) && absl::EndsWith(record, suffix);
  });
}

// The first or the last `size` bytes of a file, or the whole file if it is shorter.
std::string Read(const std::string& file, std::streamoff size, bool last) {
  std::ifstream stream(file, std::ios::binary);
  stream.seekg(0, std::ios::end);
  const std::streamoff all = std::max<std::streamoff>(stream.tellg(), 0);
  stream.seekg(last ? std::max<std::streamoff>(all - size, 0) : 0);
  std::string bytes(static_cast<size_t>(std::min(size, all)), '\0');
  stream.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return bytes;
}

// What a file is that cannot be opened as an archive of PyTorch.
std::string WhyNoArchive(const std::string& file) {
  const std::string begin = Read(file, 4096, /*last=*/false);
  if (begin.empty()) return "the file is empty";
  if (absl::StartsWith(begin, "version https://git-lfs")) {
    return "the file only stands for one that Git LFS keeps: git lfs pull fetches it";
  }
  if (absl::StartsWith(begin, "\177ELF")) {
    return "the file is a shared library, which is no package: torch._inductor.aoti_compile_and_package makes one";
  }
  if (absl::StartsWith(begin, "\x80\x02") || absl::StartsWith(begin, "\x80\x04")) {
    return "the file is a pickle, as torch.save wrote them long ago: weights without a program. Export the module";
  }
  if (!absl::StartsWith(begin, "PK")) return "the file is none that PyTorch writes (they are zip archives)";
  // The signature in the record that ends every zip archive.
  const std::string end = Read(file, 1 << 16, /*last=*/true);
  if (!absl::StrContains(end, absl::string_view("PK\5\6", 4))) {
    return "the file is a zip archive that is cut off or damaged: copy or export it again";
  }
  if (absl::StrContains(end, "serialized_exported_program") || absl::StrContains(end, "aotinductor")) {
    return "the file is of an older PyTorch, which this server's LibTorch does not read: export and compile it again";
  }
  return "the file is a zip archive, but none that PyTorch writes";
}

}  // namespace

absl::StatusOr<std::unique_ptr<caffe2::serialize::PyTorchStreamReader>> OpenTorchArchive(const std::string& file) {
  try {
    return std::make_unique<caffe2::serialize::PyTorchStreamReader>(file);
  } catch (const c10::Error&) {
    return absl::InvalidArgumentError(WhyNoArchive(file));
  }
}

std::string WhyNoPackage(const std::vector<std::string>& records) {
  if (Any(records, "models/", ".json") || Any(records, "serialized_exported_program")) {
    return absl::StrCat("the file is a program that torch.export.save wrote, without compiled code: ", kCompile,
                        "(torch.export.load(FILE), package_path='model.pt2')");
  }
  if (Any(records, "data/executorch")) return "the file is a program for ExecuTorch, not a package of AOTInductor";
  if (Any(records, "code/") && Any(records, "constants.pkl")) {
    return "the file is a TorchScript module: name it model.pt";
  }
  if (Any(records, "data.pkl")) {
    return absl::StrCat(
        "the file is what torch.save wrote (a state dict, say): weights without a program. Export the "
        "module with torch.export and ",
        kCompile);
  }
  return absl::StrCat(
      "the archive is no package of AOTInductor: it has no folder data/aotinductor but ",
      absl::StrJoin(records.begin(), records.begin() + std::min<std::ptrdiff_t>(records.size(), 3), ", "));
}

}  // namespace predictd
