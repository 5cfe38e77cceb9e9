#include "server/torch/file.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <string_view>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using caffe2::serialize::PyTorchStreamReader;

constexpr const char* kInstead = ": save what torch.jit.script(model) or torch.jit.trace(model, example) returns";

absl::Status Not(absl::string_view what, absl::string_view advice = kInstead) {
  return absl::FailedPreconditionError(absl::StrCat("model.pt is ", what, advice));
}

std::string ReadHead(const std::string& file) {
  std::array<char, 512> head{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(head.data(), head.size());
  return std::string(head.data(), static_cast<size_t>(stream.gcount()));
}

// Rejects files whose first bytes show that they are not archives.
absl::Status CheckHead(const std::string& head) {
  if (head.empty()) return Not("an empty file");
  if (absl::StartsWith(head, "version https://git-lfs")) {
    return Not("a pointer of Git LFS, not the file itself", ": git lfs pull brings it");
  }
  // Pickle's protocol 2, and the number with which torch.save began files before it wrote archives.
  if (absl::StartsWith(head, absl::string_view("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 14))) {
    return Not("what torch.save wrote before version 1.6 (a state dict or a pickled module), not TorchScript");
  }
  if (absl::StartsWith(head, "\x80")) return Not("a pickle, not TorchScript");
  if (head.size() > 8 && head.substr(4, 4) == "PTMF") {
    return Not("a flatbuffer for the mobile interpreter, not TorchScript");
  }
  if (absl::StartsWith(head, "GGUF")) {
    return Not("a GGUF file, not TorchScript", ": scripts/export_generator.py makes a generator of it");
  }
  if (absl::StartsWith(head, absl::string_view("\x1f\x8b"))) return Not("packed with gzip", ": unpack it");
  if (!absl::StartsWith(head, "PK")) return Not("no TorchScript file, which is an archive that begins with PK");
  return absl::OkStatus();
}

// "module.Name" if the pickle begins with a class.
std::string FirstClass(absl::string_view pickle) {
  if (pickle.size() < 3 || pickle[2] != 'c') return "";
  pickle.remove_prefix(3);
  const size_t module_end = pickle.find('\n');
  const size_t name_end = module_end == absl::string_view::npos ? module_end : pickle.find('\n', module_end + 1);
  if (name_end == absl::string_view::npos) return "";
  return absl::StrCat(pickle.substr(0, module_end), ".", pickle.substr(module_end + 1, name_end - module_end - 1));
}

absl::Status DescribePickle(PyTorchStreamReader& reader) {
  const auto [data, size] = reader.getRecord("data.pkl");
  const absl::string_view pickle(static_cast<const char*>(data.get()), size);
  const std::string first = FirstClass(pickle);
  if (first == "collections.OrderedDict" || (pickle.size() > 2 && pickle[2] == '}')) {
    return Not("a dict of weights that torch.save wrote (a state dict, or a checkpoint), not TorchScript",
               ": load it into its module, and save what torch.jit.script or torch.jit.trace make of that");
  }
  if (first.empty() || absl::StartsWith(first, "torch._utils.")) {
    return Not("what torch.save wrote, not TorchScript");
  }
  return Not(absl::StrCat("a pickled ", first, " that torch.save wrote, not TorchScript"));
}

}  // namespace

absl::Status CheckTorchScriptFile(const std::string& file) {
  if (absl::Status status = CheckHead(ReadHead(file)); !status.ok()) return status;
  std::vector<std::string> records;
  std::unique_ptr<PyTorchStreamReader> reader;
  try {
    reader = std::make_unique<PyTorchStreamReader>(file);
    records = reader->getAllRecords();
  } catch (const c10::Error&) {
    return Not("an archive that cannot be read", ": it is cut off or damaged, or none of PyTorch's");
  }
  if (reader->hasRecord("constants.pkl")) return absl::OkStatus();
  const auto any = [&](absl::string_view part) {
    return std::any_of(records.begin(), records.end(),
                       [part](const std::string& record) { return absl::StrContains(record, part); });
  };
  if (any("data/aotinductor/")) return Not("a compiled package", ": call it model.pt2");
  if (any("models/model.json") || any("serialized_exported_program.json")) {
    return Not("what torch.export.save wrote, not TorchScript",
               ": compile it with torch._inductor.aoti_compile_and_package, and call the package model.pt2");
  }
  if (reader->hasRecord("data.pkl")) return DescribePickle(*reader);
  return Not("an archive without TorchScript in it");
}

}  // namespace predictd
