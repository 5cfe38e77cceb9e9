#include "server/model/element_config.h"

#include <cstdint>

namespace predictd {

std::optional<ElementBytes> ReadElement(const toml::node& node, DType dtype) {
  if (dtype == DType::kBool) {
    const std::optional<bool> truth = node.value_exact<bool>();
    return truth.has_value() ? ToElement(dtype, int64_t{*truth}) : std::nullopt;
  }
  if (const std::optional<int64_t> whole = node.value_exact<int64_t>()) return ToElement(dtype, *whole);
  const std::optional<double> number = node.value_exact<double>();
  return number.has_value() ? ToElement(dtype, *number) : std::nullopt;
}

std::optional<ValueRange> ReadRange(const toml::node& node, DType dtype) {
  const toml::array* const ends = node.as_array();
  if (ends == nullptr || ends->size() != 2 || !HasRanges(dtype)) return std::nullopt;
  const std::optional<ElementBytes> least = ReadElement((*ends)[0], dtype);
  const std::optional<ElementBytes> most = ReadElement((*ends)[1], dtype);
  if (!least.has_value() || !most.has_value()) return std::nullopt;
  const ValueRange range = {*least, *most};
  return IsRange(dtype, range) ? std::optional(range) : std::nullopt;
}

}  // namespace predictd
