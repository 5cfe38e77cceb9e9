#include "client/predictctl/cast.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/data_type.h"

namespace predictd {
namespace {

template <typename T>
Number ToNumber(T value) {
  if constexpr (kIsHalfWidth<T>) {
    return static_cast<double>(ToFloat(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return static_cast<double>(value);
  } else if constexpr (std::is_same_v<T, std::uint64_t>) {
    return value;
  } else {
    return static_cast<std::int64_t>(value);
  }
}

// Converts to the exact integer; false if there is none, or if the type cannot hold it.
template <typename T>
bool ToInteger(double number, T& element) {
  // The largest value of a 64-bit type is no double, but the power of two above it is.
  const double least = static_cast<double>(std::numeric_limits<T>::min());
  const double beyond = std::ldexp(1.0, std::numeric_limits<T>::digits);
  if (!(number >= least && number < beyond) || std::trunc(number) != number) return false;
  element = static_cast<T>(number);
  return true;
}

// The double that narrower types round to the same value as they would the integer itself: one that lies between two
// doubles becomes the one whose last bit is set, so that it never looks like the middle between two narrow values.
double RoundedToOdd(double number) {
  return number;
}
template <typename Integer>
double RoundedToOdd(Integer number) {
  // Wide enough for every 64-bit integer, and for the double next to it.
  using Wide = __int128;
  auto nearest = static_cast<double>(number);
  const Wide error = static_cast<Wide>(nearest) - static_cast<Wide>(number);
  if (error == 0) return nearest;
  const bool away_from_zero = (error > 0) == (number > 0);
  if (away_from_zero) nearest = std::nextafter(nearest, 0.0);
  return std::bit_cast<double>(std::bit_cast<std::uint64_t>(nearest) | 1);
}

template <typename T, typename Source>
bool Narrow(Source number, T& element) {
  if constexpr (std::is_same_v<T, bool>) {
    element = number != 0;
    return number == 0 || number == 1;
  } else if constexpr (std::is_integral_v<T> && std::is_floating_point_v<Source>) {
    return ToInteger(number, element);
  } else if constexpr (std::is_integral_v<T>) {
    element = static_cast<T>(number);
    return std::in_range<T>(number);
  } else if constexpr (std::is_same_v<T, double>) {
    element = static_cast<double>(number);
    return true;
  } else {
    const double precise = RoundedToOdd(number);
    bool finite = true;
    if constexpr (std::is_same_v<T, Half>) {
      element = ToHalf(precise);
      finite = std::isfinite(ToFloat(element));
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      element = ToBFloat16(precise);
      finite = std::isfinite(ToFloat(element));
    } else {
      element = static_cast<float>(precise);
      finite = std::isfinite(element);
    }
    return finite || !std::isfinite(precise);
  }
}

std::string NumberText(const Number& number) {
  return std::visit([](auto value) { return absl::StrCat(value); }, number);
}

}  // namespace

absl::Status AppendNumber(const Number& number, v1::DataType type, std::string& raw) {
  bool fits = false;
  const bool known = VisitFixedWidth(type, [&]<typename T>(std::type_identity<T>) {
    T element{};
    fits = std::visit([&element](auto value) { return Narrow(value, element); }, number);
    char bytes[sizeof(T)];
    std::memcpy(bytes, &element, sizeof(T));
    raw.append(bytes, sizeof(T));
  });
  if (!known) return absl::InvalidArgumentError(absl::StrCat("numbers cannot be cast to ", DataTypeName(type)));
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(DataTypeName(type), " cannot hold ", NumberText(number)));
}

absl::StatusOr<v1::Tensor> CastTensor(v1::Tensor tensor, v1::DataType type) {
  if (tensor.dtype() == type) return tensor;
  std::string raw;
  absl::Status status;
  const bool known = VisitFixedWidth(tensor.dtype(), [&]<typename T>(std::type_identity<T>) {
    const std::size_t count = tensor.raw().size() / sizeof(T);
    for (std::size_t i = 0; i < count && status.ok(); ++i) {
      status = AppendNumber(ToNumber(LoadElement<T>(tensor.raw().data() + i * sizeof(T))), type, raw);
      if (status.ok()) continue;
      const std::string place = PlaceText(static_cast<std::int64_t>(i), tensor);
      status = absl::InvalidArgumentError(
          absl::StrCat(place.empty() ? "" : absl::StrCat("at ", place, ": "), status.message()));
    }
  });
  // An array without elements has none over which AppendNumber could complain.
  if (status.ok() && (!known || DataTypeWidth(type) == 0)) {
    status = absl::InvalidArgumentError(
        absl::StrCat(DataTypeName(tensor.dtype()), " cannot be cast to ", DataTypeName(type)));
  }
  if (!status.ok()) return status;
  tensor.set_dtype(type);
  tensor.set_raw(std::move(raw));
  return tensor;
}

std::string PlaceText(std::int64_t index, const v1::Tensor& tensor) {
  std::string place;
  for (int i = tensor.shape_size() - 1; i >= 0; --i) {
    place = absl::StrCat("[", index % tensor.shape(i), "]", place);
    index /= tensor.shape(i);
  }
  return place;
}

}  // namespace predictd
