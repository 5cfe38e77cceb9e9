#include "client/predictctl/element_reader.h"

#include <cstddef>
#include <cstring>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/data_type.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

template <typename T>
std::string Format(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (kIsHalfWidth<T>) {
    return absl::StrFormat("%.4g", ToFloat(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return absl::StrFormat("%.5g", value);
  } else {
    return absl::StrCat(value);
  }
}

}  // namespace

absl::StatusOr<ElementReader> ElementReader::Create(const v1::Tensor& tensor) {
  if (absl::Status check = CheckRaw(tensor); !check.ok()) return check;
  ElementReader reader(tensor);
  if (tensor.dtype() == v1::DATA_TYPE_BYTES) {
    absl::StatusOr<std::vector<absl::string_view>> elements = SplitBytesElements(tensor.raw());
    if (!elements.ok()) return elements.status();
    reader.bytes_ = *std::move(elements);
  }
  return reader;
}

std::string ElementReader::Text(std::int64_t index) const {
  const auto at = static_cast<std::size_t>(index);
  std::string text;
  const bool fixed = VisitFixedWidth(tensor_->dtype(), [&]<typename T>(std::type_identity<T>) {
    T value{};
    std::memcpy(&value, tensor_->raw().data() + at * sizeof(T), sizeof(T));
    text = Format(value);
  });
  return fixed ? text : absl::StrCat("\"", absl::CHexEscape(bytes_[at]), "\"");
}

}  // namespace predictd
