#include "server/model/element.h"

#include <cmath>
#include <cstring>
#include <type_traits>
#include <utility>

#include "server/model/element_types.h"

namespace predictd {
namespace {

template <class Stored>
std::optional<ElementBytes> BytesOf(std::optional<Stored> value) {
  if (!value.has_value()) return std::nullopt;
  ElementBytes bytes{};
  std::memcpy(bytes.data(), &*value, sizeof(*value));
  return bytes;
}

// 2^53: from there on a double no longer tells neighbouring integers apart.
constexpr double kExactIntegers = 9007199254740992.0;

}  // namespace

std::optional<ElementBytes> ToElement(DType dtype, int64_t value) {
  return VisitElementType(dtype, std::optional<ElementBytes>(), [&](auto type) -> std::optional<ElementBytes> {
    using Type = decltype(type);
    using Number = typename Type::Number;
    if constexpr (std::is_floating_point_v<Number>) {
      return ToElement(dtype, static_cast<double>(value));
    } else if constexpr (std::is_same_v<Number, bool>) {
      return value == 0 || value == 1 ? BytesOf(Type::Write(value == 1)) : std::nullopt;
    } else {
      return std::in_range<Number>(value) ? BytesOf(Type::Write(static_cast<Number>(value))) : std::nullopt;
    }
  });
}

std::optional<ElementBytes> ToElement(DType dtype, double value) {
  return VisitElementType(dtype, std::optional<ElementBytes>(), [&](auto type) -> std::optional<ElementBytes> {
    using Type = decltype(type);
    using Number = typename Type::Number;
    if constexpr (std::is_floating_point_v<Number>) {
      const auto number = static_cast<Number>(value);
      // What became infinite on the way was too large.
      if (std::isfinite(value) && !std::isfinite(number)) return std::nullopt;
      return BytesOf(Type::Write(number));
    } else {
      if (std::trunc(value) != value || std::abs(value) > kExactIntegers) return std::nullopt;
      return ToElement(dtype, static_cast<int64_t>(value));
    }
  });
}

}  // namespace predictd
