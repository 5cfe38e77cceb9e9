#ifndef PREDICTD_SERVER_TELEMETRY_FIELD_H_
#define PREDICTD_SERVER_TELEMETRY_FIELD_H_

#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace predictd {

// A value of a log field or of a span attribute. Strings are viewed, not copied: they must outlive the call that takes
// the value.
class FieldValue {
 public:
  using Variant = std::variant<int64_t, double, bool, std::string_view>;

  // Unsigned values above the largest int64_t are clamped to it.
  template <std::integral T>
    requires(!std::same_as<T, bool> && !std::same_as<T, char>)
  FieldValue(T value)  // NOLINT(google-explicit-constructor)
      : value_(std::cmp_greater(value, std::numeric_limits<int64_t>::max()) ? std::numeric_limits<int64_t>::max()
                                                                            : static_cast<int64_t>(value)) {}
  FieldValue(double value) : value_(value) {}  // NOLINT(google-explicit-constructor)
  template <std::same_as<bool> T>
  FieldValue(T value) : value_(value) {}                                     // NOLINT(google-explicit-constructor)
  FieldValue(const char* value) : value_(std::string_view(value)) {}         // NOLINT(google-explicit-constructor)
  FieldValue(std::string_view value) : value_(value) {}                      // NOLINT(google-explicit-constructor)
  FieldValue(const std::string& value) : value_(std::string_view(value)) {}  // NOLINT(google-explicit-constructor)

  const Variant& variant() const { return value_; }

 private:
  Variant value_;
};

struct Field {
  std::string_view key;
  FieldValue value;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TELEMETRY_FIELD_H_
