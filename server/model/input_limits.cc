#include "server/model/input_limits.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// Formats the limits: "at least 3", "2 to 128".
std::string Ends(const InputLimits::Extent& extent) {
  // A limit that no request can reach is no limit.
  constexpr int64_t kNoLimit = int64_t{1} << 62;
  if (extent.most >= kNoLimit) return absl::StrCat("at least ", extent.least);
  if (extent.least <= 0) return absl::StrCat("at most ", extent.most);
  return absl::StrCat(extent.least, " to ", extent.most);
}

}  // namespace

void InputLimits::Raise(size_t input, absl::Span<int64_t> shape) const {
  for (const Extent& extent : extents) {
    if (extent.input == input && !extent.length.has_value()) shape[extent.dimension] = extent.smallest;
  }
}

std::vector<LengthError> InputLimits::Check(const Padding& padding, absl::Span<const Tensor> inputs) const {
  std::vector<LengthError> errors;
  // The value of each unknown, and the first extent that determines it.
  std::map<size_t, std::pair<int64_t, const Extent*>> values;
  for (const Extent& extent : extents) {
    int64_t got = inputs[extent.input].shape()[extent.dimension];
    if (extent.length.has_value()) got = padding.lengths[*extent.length].BucketFor(got);
    if (got < extent.least || got > extent.most) {
      errors.push_back(
          {extent.input, absl::StrCat("expected ", Ends(extent), " in dimension ", extent.dimension, ", got ", got)});
      continue;
    }
    if ((got - extent.offset) % extent.factor != 0) {
      errors.push_back({extent.input, absl::StrCat("expected a multiple of ", extent.factor,
                                                   extent.offset == 0 ? "" : absl::StrCat(" and ", extent.offset),
                                                   " in dimension ", extent.dimension, ", got ", got)});
      continue;
    }
    const int64_t value = (got - extent.offset) / extent.factor;
    const auto [known, is_new] = values.try_emplace(extent.unknown, value, &extent);
    if (is_new || known->second.first == value) continue;
    const Extent& other = *known->second.second;
    errors.push_back({extent.input, absl::StrCat("expected ", known->second.first * extent.factor + extent.offset,
                                                 " in dimension ", extent.dimension, " to suit dimension ",
                                                 other.dimension, " of ", other.name, ", got ", got)});
  }
  return errors;
}

}  // namespace predictd
