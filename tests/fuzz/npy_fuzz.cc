// Files that may be .npy files.
#include <cstddef>
#include <cstdint>

#include "client/predictctl/npy.h"
#include "tests/fuzz/use_tensor.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const absl::string_view file(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<predictd::v1::Tensor> tensor = predictd::ParseNpy(file);
  if (tensor.ok()) predictd::UseTensor(*tensor);
  return 0;
}
