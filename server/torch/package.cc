#include "server/torch/package.h"

#include <fcntl.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <memory>
#include <set>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "server/compiled/elf_imports.h"
#include "server/compiled/target.h"
#include "server/torch/archive.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kTorch = "aoti_torch_";

// Whether the import starts a parallel region, as GCC or as Clang compiles it.
bool StartsThreads(absl::string_view import) {
  return absl::StartsWith(import, "GOMP_parallel") || absl::StartsWith(import, "__kmpc_fork_call");
}

// Whether the import belongs to AOTI_TORCH_CHECK or TORCH_CHECK.
bool Checks(absl::string_view import) {
  return import == "aoti_torch_check" || absl::StrContains(import, "torchCheckFail") ||
         absl::StrContains(import, "torchInternalAssertFail");
}

// Prefixes of functions that handle tensors without reading their elements.
constexpr std::array<absl::string_view, 16> kHandling = {
    "aoti_torch_get_",
    "aoti_torch_create_tensor_from_blob",
    "aoti_torch_delete_tensor_object",
    "aoti_torch_device_",
    "aoti_torch_dtype_",
    "aoti_torch_layout_",
    "aoti_torch_empty_",
    "aoti_torch_new_tensor_handle",
    "aoti_torch_clone",
    "aoti_torch_grad_mode",
    "aoti_torch__reinterpret_tensor",
    "aoti_torch_as_strided",
    "aoti_torch_check",
    "aoti_torch_memory_format_",
    "aoti_torch_assign_tensors",
    "aoti_torch_warn",
};

// Operators that do the same work for all elements.
constexpr std::array<absl::string_view, 12> kOperators = {
    "aoti_torch_cpu_addmm_out",
    "aoti_torch_cpu_mm_out",
    "aoti_torch_cpu_bmm_out",
    "aoti_torch_cpu_baddbmm_out",
    "aoti_torch_cpu_convolution",
    "aoti_torch_cpu_mkldnn__convolution_pointwise",
    "aoti_torch_cpu__mkl_linear",
    "aoti_torch_cpu__linear_pointwise",
    "aoti_torch_cpu_max_pool2d_with_indices",
    "aoti_torch_cpu_avg_pool2d",
    "aoti_torch_cpu__adaptive_avg_pool2d",
    "aoti_torch_cpu__scaled_dot_product_flash_attention_for_cpu",
};

bool KnowsItsCost(absl::string_view import) {
  if (!absl::StartsWith(import, kTorch)) return true;
  return std::any_of(kHandling.begin(), kHandling.end(),
                     [&](absl::string_view name) { return absl::StartsWith(import, name); }) ||
         std::find(kOperators.begin(), kOperators.end(), import) != kOperators.end();
}

absl::Status SystemError() {
  return absl::UnavailableError(std::error_code(errno, std::generic_category()).message());
}

bool DrawsRandom(absl::string_view import) {
  constexpr std::array<absl::string_view, 6> kDraws = {
      "_rand", "_bernoulli", "_multinomial", "_normal_functional", "_exponential", "_dropout"};
  return absl::StartsWith(import, kTorch) && std::any_of(kDraws.begin(), kDraws.end(), [&](absl::string_view part) {
           return absl::StrContains(import, part);
         });
}

using Archive = caffe2::serialize::PyTorchStreamReader;

constexpr absl::string_view kModels = "data/aotinductor/";
constexpr absl::string_view kConstants = "data/constants/";
constexpr size_t kChunk = size_t{1} << 20;

// The records of one model of a package.
struct ModelRecords {
  // All files that its code may open, in the way LibTorch unpacks them.
  std::vector<std::string> files;
  std::string library;
  std::string source;
  std::string metadata;
  std::string weights;
};

std::string FileName(absl::string_view record) {
  return std::string(record.substr(record.rfind('/') + 1));
}

// The name of the model to serve: the only one, or the one with LibTorch's default name.
absl::StatusOr<std::string> ChooseModel(const std::vector<std::string>& records) {
  std::set<std::string> names;
  for (const std::string& record : records) {
    absl::string_view rest = record;
    if (!absl::ConsumePrefix(&rest, kModels) || !absl::StrContains(rest, '/')) continue;
    names.emplace(rest.substr(0, rest.find('/')));
  }
  if (names.empty()) return absl::InvalidArgumentError(WhyNoPackage(records));
  if (names.contains("model")) return "model";
  if (names.size() == 1) return *names.begin();
  return absl::InvalidArgumentError(absl::StrCat("the package holds several models (", absl::StrJoin(names, ", "),
                                                 ") and none named 'model': package each alone"));
}

absl::StatusOr<ModelRecords> FindModel(const std::vector<std::string>& records) {
  const absl::StatusOr<std::string> name = ChooseModel(records);
  if (!name.ok()) return name.status();
  const std::string folder = absl::StrCat(kModels, *name, "/");
  ModelRecords model;
  bool weights_apart = false;
  for (const std::string& record : records) {
    if (!absl::StartsWith(record, folder) && !absl::StartsWith(record, kConstants)) continue;
    model.files.push_back(record);
    // Kernels may have files of their own beside the wrapper's.
    const auto take = [&record](std::string& into) {
      if (into.empty() || absl::StrContains(record, "wrapper")) into = record;
    };
    if (absl::EndsWith(record, ".so")) take(model.library);
    if (absl::EndsWith(record, ".cpp")) take(model.source);
    if (absl::EndsWith(record, "_metadata.json")) take(model.metadata);
    if (absl::EndsWith(record, ".blob")) model.weights = record;
    weights_apart = weights_apart || absl::EndsWith(record, "/weights_config.json");
  }
  if (model.library.empty() && !model.source.empty()) {
    return absl::InvalidArgumentError(
        "the package holds source code that was not compiled: compile it without package_cpp_only");
  }
  if (model.library.empty()) return absl::InvalidArgumentError("the package has no compiled code");
  if (model.metadata.empty()) {
    return absl::FailedPreconditionError(
        "the package does not say for which device it is compiled: an older PyTorch's");
  }
  if (weights_apart) {
    return absl::FailedPreconditionError(
        "the package keeps its weights as pickles, which only Python reads: compile it with the weights in it (without "
        "package_constants_on_disk_format)");
  }
  return model;
}

std::string ReadText(Archive& archive, const std::string& record) {
  const auto [bytes, size] = archive.getRecord(record);
  return {static_cast<const char*>(bytes.get()), size};
}

// Copies a record to a file, piece by piece.
absl::Status Unpack(Archive& archive, const std::string& record, const fs::path& path) {
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (file < 0) return SystemError();
  const absl::Cleanup close_file = [file] { close(file); };
  const size_t size = archive.getRecordSize(record);
  if (size == 0) return absl::OkStatus();
  auto chunks = archive.createChunkReaderIter(record, size, std::min(size, kChunk));
  std::string buffer(std::min(size, kChunk), '\0');
  for (size_t left = size; left > 0;) {
    const size_t read = std::min(chunks.next(buffer.data()), left);
    if (read == 0) return absl::InvalidArgumentError("the package is damaged");
    for (size_t done = 0; done < read;) {
      const ssize_t written = write(file, buffer.data() + done, read - done);
      if (written < 0) return SystemError();
      done += static_cast<size_t>(written);
    }
    left -= read;
  }
  return absl::OkStatus();
}

// Code cannot be loaded from a file system that is mounted with noexec.
absl::Status CheckMount(const fs::path& folder) {
  struct statvfs status {};
  if (statvfs(folder.c_str(), &status) != 0) return SystemError();
  if ((status.f_flag & ST_NOEXEC) == 0) return absl::OkStatus();
  return absl::UnavailableError("it is mounted with noexec");
}

absl::Status CannotUnpack(const fs::path& folder, const absl::Status& why) {
  if (absl::IsInvalidArgument(why)) return why;
  return absl::UnavailableError(absl::StrCat("the package cannot be unpacked: the folder of --unpack-dir (",
                                             folder.string(), "): ", why.message()));
}

}  // namespace

absl::StatusOr<PackageTraits> InspectLibrary(absl::string_view bytes) {
  const absl::StatusOr<std::vector<std::string>> imports = ElfImports(bytes);
  if (!imports.ok()) return imports.status();
  const auto any = [&imports](bool (*is)(absl::string_view)) {
    return std::any_of(imports->begin(), imports->end(), is);
  };
  return PackageTraits{.may_end_process = any(StartsThreads) && any(Checks),
                       .cost_depends_on_shapes_only = std::all_of(imports->begin(), imports->end(), KnowsItsCost),
                       .draws_random = any(DrawsRandom)};
}

absl::StatusOr<UnpackedPackage> UnpackPackage(const std::string& file, const fs::path& unpack_dir) {
  absl::StatusOr<std::unique_ptr<Archive>> archive = OpenTorchArchive(file);
  if (!archive.ok()) return archive.status();
  const std::vector<std::string> records = (*archive)->getAllRecords();
  const absl::StatusOr<ModelRecords> model = FindModel(records);
  if (!model.ok()) return model.status();
  if (absl::Status status = CheckCompiledTarget(ReadText(**archive, model->metadata), ThisMachine()); !status.ok()) {
    return status;
  }
  if (absl::Status status = CheckMount(unpack_dir); !status.ok()) return CannotUnpack(unpack_dir, status);
  absl::StatusOr<PrivateFolder> folder = PrivateFolder::Create(unpack_dir);
  if (!folder.ok()) return CannotUnpack(unpack_dir, folder.status());
  std::set<std::string> names;
  for (const std::string& record : model->files) {
    // The code looks for all of its files in one folder.
    if (!names.insert(FileName(record)).second) {
      return absl::InvalidArgumentError(absl::StrCat("the package has two files of the name ", FileName(record)));
    }
    absl::Status status = Unpack(**archive, record, folder->path() / FileName(record));
    if (!status.ok()) return CannotUnpack(unpack_dir, status);
  }
  UnpackedPackage package{.folder = *std::move(folder), .library = {}, .weights = {}, .source = {}};
  package.library = package.folder.path() / FileName(model->library);
  if (!model->weights.empty()) package.weights = package.folder.path() / FileName(model->weights);
  if (!model->source.empty()) package.source = ReadText(**archive, model->source);
  return package;
}

}  // namespace predictd
