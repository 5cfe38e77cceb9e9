#include "client/predictctl/json_text.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kNonFinite[] = {"NaN", "Infinity", "-Infinity"};

// The text with quotes around NaN, Infinity and -Infinity where they stand for values.
std::string QuoteNonFinite(absl::string_view text) {
  std::string quoted;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (in_string && text[i] == '\\') {
      absl::StrAppend(&quoted, text.substr(i, 2));
      ++i;
      continue;
    }
    if (text[i] == '"') in_string = !in_string;
    const absl::string_view rest = text.substr(i);
    const auto* word = std::find_if(std::begin(kNonFinite), std::end(kNonFinite),
                                    [rest](absl::string_view known) { return absl::StartsWith(rest, known); });
    if (in_string || word == std::end(kNonFinite)) {
      quoted.push_back(text[i]);
      continue;
    }
    absl::StrAppend(&quoted, "\"", *word, "\"");
    i += word->size() - 1;
  }
  return quoted;
}

// Watches what the parser finds, and has it drop what must not be kept.
class Watcher {
 public:
  bool OnEvent(int depth, Json::parse_event_t event, const Json& parsed) {
    const bool begins = event == Json::parse_event_t::array_start || event == Json::parse_event_t::object_start;
    // Nothing is kept of what is too deep, so that nothing ever has to walk through it, not even to free it.
    if (begins && depth >= kMaxJsonDepth) too_deep_ = true;
    if (event == Json::parse_event_t::key && depth == 1 && !keys_.insert(parsed.get<std::string>()).second) {
      twice_ = parsed.get<std::string>();
    }
    return !too_deep_;
  }

  absl::Status status() const {
    if (too_deep_) return absl::InvalidArgumentError(absl::StrCat("nested deeper than ", kMaxJsonDepth));
    if (!twice_.empty()) return absl::InvalidArgumentError(absl::StrCat("'", twice_, "' appears twice"));
    return absl::OkStatus();
  }

 private:
  std::set<std::string> keys_;  // Of the outermost object.
  std::string twice_;
  bool too_deep_ = false;
};

}  // namespace

absl::StatusOr<Json> ParseJson(absl::string_view text, NonFinite non_finite) {
  std::string quoted;
  if (non_finite == NonFinite::kAsStrings && (absl::StrContains(text, "NaN") || absl::StrContains(text, "Infinity"))) {
    quoted = QuoteNonFinite(text);
    text = quoted;
  }
  Watcher watcher;
  const auto on_event = [&watcher](int depth, Json::parse_event_t event, Json& parsed) {
    return watcher.OnEvent(depth, event, parsed);
  };
  try {
    Json value = Json::parse(text.begin(), text.end(), on_event);
    if (absl::Status status = watcher.status(); !status.ok()) return status;
    return value;
  } catch (const Json::exception& error) {
    // Leaves out "[json.exception.parse_error.101] ".
    const std::vector<std::string> parts = absl::StrSplit(error.what(), absl::MaxSplits("] ", 1));
    return absl::InvalidArgumentError(absl::StrCat("not JSON: ", parts.back()));
  }
}

}  // namespace predictd
