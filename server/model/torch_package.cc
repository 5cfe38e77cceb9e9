#include "server/model/torch_package.h"

#include <caffe2/serialize/inline_container.h>

#include <algorithm>
#include <array>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/model/elf_imports.h"

namespace predictd {
namespace {

constexpr absl::string_view kTorch = "aoti_torch_";

// What begins a parallel region: GCC's and Clang's.
bool StartsThreads(absl::string_view import) {
  return absl::StartsWith(import, "GOMP_parallel") || absl::StartsWith(import, "__kmpc_fork_call");
}

// AOTI_TORCH_CHECK and TORCH_CHECK.
bool Checks(absl::string_view import) {
  return import == "aoti_torch_check" || absl::StrContains(import, "torchCheckFail") ||
         absl::StrContains(import, "torchInternalAssertFail");
}

// What handles tensors without looking at their elements, whatever follows the name.
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

}  // namespace

absl::StatusOr<PackageTraits> InspectPackage(const std::string& file) {
  caffe2::serialize::PyTorchStreamReader reader(file);
  std::vector<std::string> imports;
  bool found = false;
  for (const std::string& record : reader.getAllRecords()) {
    if (!absl::EndsWith(record, ".so")) continue;
    found = true;
    const auto [bytes, size] = reader.getRecord(record);
    absl::StatusOr<std::vector<std::string>> of_record =
        ElfImports(absl::string_view(static_cast<const char*>(bytes.get()), size));
    if (!of_record.ok()) return absl::InvalidArgumentError(absl::StrCat(record, ": ", of_record.status().message()));
    imports.insert(imports.end(), of_record->begin(), of_record->end());
  }
  if (!found) return absl::InvalidArgumentError("the package has no compiled code that can be looked at");
  return PackageTraits{.may_end_process = std::any_of(imports.begin(), imports.end(), StartsThreads) &&
                                          std::any_of(imports.begin(), imports.end(), Checks),
                       .cost_depends_on_shapes_only = std::all_of(imports.begin(), imports.end(), KnowsItsCost)};
}

}  // namespace predictd
