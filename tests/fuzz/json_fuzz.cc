// Texts that may be JSON, as tensors of every type.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "client/predictctl/json_tensor.h"
#include "client/predictctl/json_text.h"
#include "tests/fuzz/require.h"
#include "tests/fuzz/use_tensor.h"

namespace predictd {
namespace {

void ReadAsEveryType(const nlohmann::json& json) {
  for (int type = v1::DataType_MIN; type <= v1::DataType_MAX; ++type) {
    for (const bool cast : {false, true}) {
      const absl::StatusOr<v1::Tensor> tensor = TensorFromJson(json, static_cast<v1::DataType>(type), cast);
      if (tensor.ok()) UseTensor(*tensor);
    }
  }
}

}  // namespace
}  // namespace predictd

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<nlohmann::json> strict = predictd::ParseJson(text, predictd::NonFinite::kRefused);
  const absl::StatusOr<nlohmann::json> json = predictd::ParseJson(text, predictd::NonFinite::kAsStrings);
  if (strict.ok()) predictd::Require(json.ok() && *json == *strict, "JSON needs no quotes");
  if (json.ok()) predictd::ReadAsEveryType(*json);
  return 0;
}
