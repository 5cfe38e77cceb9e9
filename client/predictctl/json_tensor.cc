#include "client/predictctl/json_tensor.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/data_type.h"
#include "client/predictctl/cast.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

// How messages show a value.
std::string Shown(const Json& value) {
  constexpr std::size_t kLongest = 40;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

absl::Status Unsuitable(const Json& value, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", expected, ", got ", Shown(value)));
}

absl::Status Beyond(const Json& value, v1::DataType type) {
  return Unsuitable(value, absl::StrCat("a value that ", DataTypeName(type), " can hold"));
}

// The error for a value that --cast would accept mentions --cast.
absl::Status Castable(const Json& value, absl::string_view expected) {
  const absl::Status status = Unsuitable(value, expected);
  return absl::InvalidArgumentError(absl::StrCat(status.message(), " (--cast converts it)"));
}

absl::Status Convert(const Json& value, bool& element) {
  if (value == 0 || value == 1) return Castable(value, "true or false");
  if (!value.is_boolean()) return Unsuitable(value, "true or false");
  element = value.get<bool>();
  return absl::OkStatus();
}

template <typename T>
absl::Status Convert(const Json& value, T& element) {
  if (value.is_boolean() || (value.is_number_float() && std::trunc(value.get<double>()) == value.get<double>())) {
    return Castable(value, "an integer");
  }
  if (!value.is_number_integer()) return Unsuitable(value, "an integer");
  const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                               : std::in_range<T>(value.get<std::int64_t>());
  if (!fits) return Beyond(value, kDataTypeOf<T>);
  element = value.get<T>();
  return absl::OkStatus();
}

// The parser takes "-0" for a signed integer, which has no -0, and "0" for an unsigned one.
bool IsNegativeZero(const Json& value) {
  return value.type() == Json::value_t::number_integer && value.get<std::int64_t>() == 0;
}

absl::StatusOr<Number> NumberOf(const Json& value) {
  if (IsNegativeZero(value)) return -0.0;
  if (value.is_number_unsigned()) return value.get<std::uint64_t>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number_float()) return value.get<double>();
  if (value == "NaN") return std::numeric_limits<double>::quiet_NaN();
  if (value == "Infinity") return std::numeric_limits<double>::infinity();
  if (value == "-Infinity") return -std::numeric_limits<double>::infinity();
  constexpr absl::string_view kExpected = "a number, \"NaN\", \"Infinity\" or \"-Infinity\"";
  return value.is_boolean() ? Castable(value, kExpected) : Unsuitable(value, kExpected);
}

absl::Status AppendCast(const Json& value, v1::DataType type, std::string& raw) {
  if (value.is_boolean()) return AppendNumber(std::int64_t{value.get<bool>()}, type, raw);
  const absl::StatusOr<Number> number = NumberOf(value);
  return number.ok() ? AppendNumber(*number, type, raw) : number.status();
}

absl::Status AppendFloat(const Json& value, v1::DataType type, std::string& raw) {
  const absl::StatusOr<Number> number = NumberOf(value);
  if (!number.ok()) return number.status();
  return AppendNumber(*number, type, raw).ok() ? absl::OkStatus() : Beyond(value, type);
}

// Walks through the nesting and appends each element to `raw`.
class Flattener {
 public:
  Flattener(v1::DataType type, bool cast) : type_(type), cast_(cast) {}

  absl::Status Run(const Json& value) {
    for (const Json* inner = &value; inner->is_array(); inner = &inner->front()) {
      shape_.push_back(static_cast<std::int64_t>(inner->size()));
      if (inner->empty()) break;
    }
    return Visit(value, 0, "");
  }

  const std::vector<std::int64_t>& shape() const { return shape_; }
  std::string& raw() { return raw_; }

 private:
  absl::Status Visit(const Json& value, std::size_t depth, const std::string& place) {
    if (depth == shape_.size()) {
      const absl::Status appended = Append(value);
      return appended.ok() ? appended : At(place, appended.message());
    }
    const auto extent = static_cast<std::size_t>(shape_[depth]);
    if (!value.is_array() || value.size() != extent) {
      return At(place, Ragged(value, depth));
    }
    for (std::size_t i = 0; i < extent; ++i) {
      if (absl::Status visited = Visit(value[i], depth + 1, absl::StrCat(place, "[", i, "]")); !visited.ok()) {
        return visited;
      }
    }
    return absl::OkStatus();
  }

  // The error for a `value` that is not as long as the first one beside it, or is not even an array.
  std::string Ragged(const Json& value, std::size_t depth) const {
    std::string first;
    for (std::size_t i = 0; i < depth; ++i) first += "[0]";
    return absl::StrCat("ragged: expected an array of ", shape_[depth], " as at ", first, ", got ",
                        value.is_array() ? absl::StrCat("one of ", value.size()) : Shown(value),
                        "; arrays beside each other must be equally long");
  }

  absl::Status Append(const Json& value) {
    if (value.is_array()) {
      return absl::InvalidArgumentError(absl::StrCat("ragged: an array beside plain values: ", Shown(value)));
    }
    if (type_ == v1::DATA_TYPE_BYTES) {
      if (!value.is_string()) return Unsuitable(value, "a string");
      AppendBytesElement(value.get_ref<const std::string&>(), raw_);
      return absl::OkStatus();
    }
    if (cast_) return AppendCast(value, type_, raw_);
    absl::Status result =
        absl::InvalidArgumentError("the model's signature names a type that this client does not know");
    VisitFixedWidth(type_, [&]<typename T>(std::type_identity<T>) {
      if constexpr (std::is_integral_v<T>) {
        T element{};
        result = Convert(value, element);
        char bytes[sizeof(T)];
        std::memcpy(bytes, &element, sizeof(T));
        raw_.append(bytes, sizeof(T));
      } else {
        result = AppendFloat(value, type_, raw_);
      }
    });
    return result;
  }

  static absl::Status At(const std::string& place, absl::string_view what) {
    return absl::InvalidArgumentError(place.empty() ? std::string(what) : absl::StrCat("at ", place, ": ", what));
  }

  const v1::DataType type_;
  const bool cast_;
  std::vector<std::int64_t> shape_;
  std::string raw_;
};

}  // namespace

absl::StatusOr<v1::Tensor> TensorFromJson(const Json& value, v1::DataType type, bool cast) {
  Flattener flattener(type, cast);
  if (absl::Status walked = flattener.Run(value); !walked.ok()) return walked;
  return MakeRawTensor("", type, flattener.shape(), std::move(flattener.raw()));
}

}  // namespace predictd
