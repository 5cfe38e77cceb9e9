#ifndef PREDICTD_SERVER_CONFIG_VALUE_PARSER_H_
#define PREDICTD_SERVER_CONFIG_VALUE_PARSER_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "absl/time/time.h"

namespace predictd {

// These read the values of options: the whole text or nothing, so that no part of what somebody wrote is ignored.
// Spaces, a plus sign, and leading zeros, which other programs read as octal, are refused.

// Reads 0, 12, -3.
std::optional<int64_t> ParseWholeNumber(std::string_view text);

// Reads a whole number of bytes, alone or with a unit: 4096, 64KiB, 2g. Units count by 1024 and their case does not
// matter.
std::optional<int64_t> ParseSize(std::string_view text);

// Reads a finite decimal number: 0.25, 1e-3.
std::optional<double> ParseNumber(std::string_view text);

// Reads 250ms, 1.5s, 1h30m, 0. More than a century becomes a century, which makes no difference to anybody and can be
// added to a point in time without overflow.
std::optional<absl::Duration> ParseLengthOfTime(std::string_view text);

}  // namespace predictd

#endif  // PREDICTD_SERVER_CONFIG_VALUE_PARSER_H_
