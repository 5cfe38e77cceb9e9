#ifndef PREDICTD_TESTS_FAKES_TENSORS_H_
#define PREDICTD_TESTS_FAKES_TENSORS_H_

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "server/model/tensor.h"

namespace predictd {

// An FP32 tensor in memory of its own.
inline Tensor Floats(Shape shape, const std::vector<float>& values) {
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(DType::kFp32, std::move(shape), &fill);
  if (!values.empty()) std::memcpy(fill, values.data(), values.size() * sizeof(float));
  return tensor;
}

inline Tensor Strings(Shape shape, std::vector<std::string> strings) {
  return Tensor(std::move(shape), std::make_shared<const std::vector<std::string>>(std::move(strings)));
}

// The elements of an FP32 tensor, whatever their alignment.
inline std::vector<float> Values(const Tensor& tensor) {
  std::vector<float> values(tensor.elements());
  if (!values.empty()) std::memcpy(values.data(), tensor.data(), tensor.byte_size());
  return values;
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_TENSORS_H_
