// JSON that users write.
#ifndef PREDICTD_CLIENT_PREDICTCTL_JSON_TEXT_H_
#define PREDICTD_CLIENT_PREDICTCTL_JSON_TEXT_H_

#include <nlohmann/json_fwd.hpp>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace predictd {

// How deep arrays and objects may be nested: deeper than any tensor, and so little that code may walk through a value
// by recursion.
inline constexpr int kMaxJsonDepth = 64;

// What becomes of NaN, Infinity and -Infinity without quotes, which are no JSON but what Python writes.
enum class NonFinite { kRefused, kAsStrings };

// Parses a JSON text. INVALID_ARGUMENT, with the place, for a syntax error, for nesting deeper than kMaxJsonDepth, and
// for a duplicate key in the outermost object.
absl::StatusOr<nlohmann::json> ParseJson(absl::string_view text, NonFinite non_finite);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_JSON_TEXT_H_
