#include "server/engine/inference.h"

#include <string>

namespace predictd {

int64_t InputBytes(const InferenceRequest& request) {
  int64_t bytes = 0;
  for (const Tensor& input : request.inputs) {
    if (input.dtype() != DType::kBytes) bytes += static_cast<int64_t>(input.byte_size());
    for (const std::string& string : input.strings()) bytes += static_cast<int64_t>(string.size());
  }
  return bytes;
}

}  // namespace predictd
