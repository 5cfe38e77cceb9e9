#include "client/predictctl/json_tensor.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/data_type.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMaxRank = 32;

// How a value looks in a message.
std::string Shown(const Json& value) {
  constexpr std::size_t kLongest = 40;
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (text.size() > kLongest) text = text.substr(0, kLongest) + "...";
  return text;
}

absl::Status Unsuitable(const Json& value, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("expected ", expected, ", got ", Shown(value)));
}

template <typename T>
absl::Status Beyond(const Json& value) {
  return Unsuitable(value, absl::StrCat("a value that ", DataTypeName(kDataTypeOf<T>), " can hold"));
}

absl::Status Convert(const Json& value, bool& element) {
  if (!value.is_boolean()) return Unsuitable(value, "true or false");
  element = value.get<bool>();
  return absl::OkStatus();
}

template <typename T>
absl::Status ConvertInteger(const Json& value, T& element) {
  if (!value.is_number_integer()) return Unsuitable(value, "an integer");
  const bool fits = value.is_number_unsigned() ? std::in_range<T>(value.get<std::uint64_t>())
                                               : std::in_range<T>(value.get<std::int64_t>());
  if (!fits) return Beyond<T>(value);
  element = value.get<T>();
  return absl::OkStatus();
}

absl::Status ConvertNumber(const Json& value, double& number) {
  if (value.is_number()) {
    number = value.get<double>();
  } else if (value == "NaN") {
    number = std::numeric_limits<double>::quiet_NaN();
  } else if (value == "Infinity") {
    number = std::numeric_limits<double>::infinity();
  } else if (value == "-Infinity") {
    number = -std::numeric_limits<double>::infinity();
  } else {
    return Unsuitable(value, "a number, \"NaN\", \"Infinity\" or \"-Infinity\"");
  }
  return absl::OkStatus();
}

float Widened(float value) {
  return value;
}
template <typename T>
float Widened(T value) {
  return ToFloat(value);
}

void Narrow(double number, float& element) {
  element = static_cast<float>(number);
}
void Narrow(double number, Half& element) {
  element = ToHalf(static_cast<float>(number));
}
void Narrow(double number, BFloat16& element) {
  element = ToBFloat16(static_cast<float>(number));
}

template <typename T>
absl::Status Convert(const Json& value, T& element) {
  if constexpr (std::is_integral_v<T>) {
    return ConvertInteger(value, element);
  } else {
    double number = 0;
    if (absl::Status converted = ConvertNumber(value, number); !converted.ok()) return converted;
    if constexpr (std::is_same_v<T, double>) {
      element = number;
    } else {
      Narrow(number, element);
      if (std::isfinite(number) && !std::isfinite(Widened(element))) return Beyond<T>(value);
    }
    return absl::OkStatus();
  }
}

// Walks the nesting and appends each element to `raw`.
class Flattener {
 public:
  explicit Flattener(v1::DataType type) : type_(type) {}

  absl::Status Run(const Json& value) {
    for (const Json* inner = &value; inner->is_array(); inner = &inner->front()) {
      if (shape_.size() == kMaxRank) return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kMaxRank));
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
      return At(place, absl::StrCat("ragged: expected an array of ", extent, " like its neighbours, got ",
                                    value.is_array() ? absl::StrCat("one of ", value.size()) : Shown(value)));
    }
    for (std::size_t i = 0; i < extent; ++i) {
      if (absl::Status visited = Visit(value[i], depth + 1, absl::StrCat(place, "[", i, "]")); !visited.ok()) {
        return visited;
      }
    }
    return absl::OkStatus();
  }

  absl::Status Append(const Json& value) {
    if (value.is_array()) return absl::InvalidArgumentError("ragged: an array beside plain values");
    if (type_ == v1::DATA_TYPE_BYTES) {
      if (!value.is_string()) return Unsuitable(value, "a string");
      AppendBytesElement(value.get_ref<const std::string&>(), raw_);
      return absl::OkStatus();
    }
    absl::Status result =
        absl::InvalidArgumentError("the model's signature names a type that this client does not know");
    VisitFixedWidth(type_, [&]<typename T>(std::type_identity<T>) {
      T element{};
      result = Convert(value, element);
      if (!result.ok()) return;
      char bytes[sizeof(T)];
      std::memcpy(bytes, &element, sizeof(T));
      raw_.append(bytes, sizeof(T));
    });
    return result;
  }

  static absl::Status At(const std::string& place, absl::string_view what) {
    return absl::InvalidArgumentError(place.empty() ? std::string(what) : absl::StrCat("at ", place, ": ", what));
  }

  const v1::DataType type_;
  std::vector<std::int64_t> shape_;
  std::string raw_;
};

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text) {
  std::set<std::string> keys;
  std::string twice;
  const auto note_key = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (event == Json::parse_event_t::key && depth == 1 && !keys.insert(parsed.get<std::string>()).second) {
      twice = parsed.get<std::string>();
    }
    return true;
  };
  try {
    Json value = Json::parse(text.begin(), text.end(), note_key);
    if (!twice.empty()) return absl::InvalidArgumentError(absl::StrCat("'", twice, "' is there twice"));
    return value;
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", error.what()));
  }
}

absl::StatusOr<v1::Tensor> TensorFromJson(const Json& value, v1::DataType type) {
  Flattener flattener(type);
  if (absl::Status walked = flattener.Run(value); !walked.ok()) return walked;
  return MakeRawTensor("", type, flattener.shape(), std::move(flattener.raw()));
}

}  // namespace predictd
