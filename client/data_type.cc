#include "client/data_type.h"

namespace predictd {
inline namespace client {

absl::string_view DataTypeName(v1::DataType type) {
  constexpr absl::string_view kPrefix = "DATA_TYPE_";
  const absl::string_view name = v1::DataType_Name(type);  // A view of the descriptor's text.
  return name.size() > kPrefix.size() ? name.substr(kPrefix.size()) : "?";
}

std::size_t DataTypeWidth(v1::DataType type) {
  std::size_t width = 0;
  VisitFixedWidth(type, [&width]<typename T>(std::type_identity<T>) { width = sizeof(T); });
  return width;
}

}  // namespace client
}  // namespace predictd
