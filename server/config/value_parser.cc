#include "server/config/value_parser.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"

namespace predictd {
namespace {

constexpr absl::Duration kCentury = absl::Hours(100 * 365 * 24);

constexpr std::array<std::pair<std::string_view, int>, 13> kUnits = {{{"b", 0},
                                                                      {"k", 10},
                                                                      {"kb", 10},
                                                                      {"kib", 10},
                                                                      {"m", 20},
                                                                      {"mb", 20},
                                                                      {"mib", 20},
                                                                      {"g", 30},
                                                                      {"gb", 30},
                                                                      {"gib", 30},
                                                                      {"t", 40},
                                                                      {"tb", 40},
                                                                      {"tib", 40}}};

absl::string_view View(std::string_view text) {
  return {text.data(), text.size()};
}

}  // namespace

std::optional<int64_t> ParseWholeNumber(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  const bool decimal = !digits.empty() && std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
  if (!decimal || (digits.size() > 1 && digits.front() == '0')) return std::nullopt;
  int64_t value = 0;
  if (!absl::SimpleAtoi(View(text), &value)) return std::nullopt;
  return value;
}

std::optional<int64_t> ParseSize(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const std::optional<int64_t> number = ParseWholeNumber(text.substr(0, digits));
  if (!number.has_value() || digits == text.size()) return number;
  for (const auto& [unit, shift] : kUnits) {
    if (!absl::EqualsIgnoreCase(View(text.substr(digits)), View(unit))) continue;
    if (*number > (std::numeric_limits<int64_t>::max() >> shift)) return std::nullopt;
    return *number << shift;
  }
  return std::nullopt;
}

std::optional<double> ParseNumber(std::string_view text) {
  if (text.starts_with('+') || text.find_first_not_of("0123456789.eE+-") != std::string_view::npos) return std::nullopt;
  double value = 0;
  if (!absl::SimpleAtod(View(text), &value) || !std::isfinite(value)) return std::nullopt;
  return value;
}

std::optional<absl::Duration> ParseLengthOfTime(std::string_view text) {
  absl::Duration length;
  if (text.empty() || !(absl::ascii_isdigit(static_cast<unsigned char>(text.front())) || text.front() == '.')) {
    return std::nullopt;
  }
  if (!absl::ParseDuration(View(text), &length) || length < absl::ZeroDuration()) return std::nullopt;
  return std::min(length, kCentury);
}

}  // namespace predictd
