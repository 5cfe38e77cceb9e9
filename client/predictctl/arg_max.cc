#include "client/predictctl/arg_max.h"

#include <cmath>
#include <cstddef>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/data_type.h"
#include "client/shape.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

template <typename T>
T Load(const char* elements, std::int64_t index) {
  return LoadElement<T>(elements + static_cast<std::size_t>(index) * sizeof(T));
}

template <typename T>
bool Less(T a, T b) {
  if constexpr (kIsHalfWidth<T>) {
    return Less(ToFloat(a), ToFloat(b));
  } else if constexpr (std::is_floating_point_v<T>) {
    return std::isnan(b) ? !std::isnan(a) : a < b;
  } else {
    return a < b;
  }
}

template <typename T>
std::int64_t LargestOf(const char* row, std::int64_t count) {
  std::int64_t largest = 0;
  for (std::int64_t i = 1; i < count; ++i) {
    if (Less(Load<T>(row, largest), Load<T>(row, i))) largest = i;
  }
  return largest;
}

}  // namespace

absl::StatusOr<std::vector<std::int64_t>> ArgMaxOfRows(const v1::Tensor& tensor) {
  if (absl::Status check = CheckRaw(tensor); !check.ok()) return check;
  const auto width = static_cast<std::int64_t>(DataTypeWidth(tensor.dtype()));
  if (width == 0 || tensor.shape().empty()) {
    return absl::InvalidArgumentError(absl::StrCat("output '", tensor.name(), "' ", DataTypeName(tensor.dtype()),
                                                   ShapeText(tensor.shape()), " has no largest values"));
  }
  const std::int64_t rows = tensor.shape_size() == 1 ? 1 : tensor.shape(0);
  const std::int64_t count = static_cast<std::int64_t>(tensor.raw().size()) / width;
  if (rows > 0 && count == 0) {
    return absl::InvalidArgumentError(absl::StrCat("output '", tensor.name(), "' has rows without elements"));
  }
  std::vector<std::int64_t> largest;
  VisitFixedWidth(tensor.dtype(), [&]<typename T>(std::type_identity<T>) {
    for (std::int64_t row = 0; row < rows; ++row) {
      const std::int64_t in_row = count / rows;
      largest.push_back(LargestOf<T>(tensor.raw().data() + row * in_row * width, in_row));
    }
  });
  return largest;
}

}  // namespace predictd
