#include "server/tokenizer/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/text/utf8.h"
#include "server/tokenizer/byte_alphabet.h"

namespace predictd {
namespace {

// The pattern with which ByteLevel cuts, unless it is told not to.
constexpr char kGpt2Words[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kNumber[] = R"(\p{N})";
// The punctuation of Unicode and that of ASCII, which includes symbols.
constexpr char kPunctuation[] = R"([\p{P}$+<=>^`|~])";
constexpr char kSpace[] = R"(\s)";

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const nlohmann::json& json, const std::string& path) {
  PreTokenizer result;
  if (json.is_null()) return result;
  if (absl::Status status = result.Add(json, path); !status.ok()) return status;
  return result;
}

absl::Status PreTokenizer::Add(const nlohmann::json& json, const std::string& path) {
  JsonObject object(json, path);
  const std::string type = object.Get<std::string>("type");
  if (type == "Sequence") {
    for (const auto& [item, item_path] : object.Items("pretokenizers")) {
      if (absl::Status status = Add(*item, item_path); !status.ok()) return status;
    }
    return object.Finish();
  }
  if (byte_level_ && first_in_alphabet_ == kNone) first_in_alphabet_ = steps_.size();
  if (type == "Split") return AddSplit(object);
  if (type == "ByteLevel") return AddByteLevel(object);
  if (type == "Metaspace") return AddMetaspace(object);
  if (type == "Punctuation") return AddPunctuation(object);
  if (type == "WhitespaceSplit" || type == "CharDelimiterSplit") return AddDelimiter(object);
  if (type == "Digits") {
    const bool individual = object.Get<bool>("individual_digits");
    if (absl::Status status = object.Finish(); !status.ok()) return status;
    steps_.push_back({*Pattern::Parse(kNumber), individual ? Behavior::kIsolated : Behavior::kContiguous});
    return absl::OkStatus();
  }
  return object.Unsupported(
      "type", "Split, Digits, Punctuation, WhitespaceSplit, CharDelimiterSplit, Metaspace, ByteLevel or Sequence");
}

absl::StatusOr<PreTokenizer::Behavior> PreTokenizer::ParseBehavior(const JsonObject& object, const std::string& name) {
  constexpr std::pair<const char*, Behavior> kBehaviors[] = {{"Removed", Behavior::kRemoved},
                                                             {"Isolated", Behavior::kIsolated},
                                                             {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                             {"MergedWithNext", Behavior::kMergedWithNext},
                                                             {"Contiguous", Behavior::kContiguous}};
  const auto* const behavior = std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                                            [&name](const auto& entry) { return name == entry.first; });
  if (behavior != std::end(kBehaviors)) return behavior->second;
  return absl::InvalidArgumentError(absl::StrCat(object.Path("behavior"), ": '", name, "' is unknown"));
}

absl::Status PreTokenizer::AddSplit(JsonObject& object) {
  absl::StatusOr<Pattern> pattern = ParsePatternObject(object, "pattern");
  const std::string name = object.Get<std::string>("behavior");
  const bool invert = object.Get<bool>("invert");
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (!pattern.ok()) return pattern.status();
  const absl::StatusOr<Behavior> behavior = ParseBehavior(object, name);
  if (!behavior.ok()) return behavior.status();
  steps_.push_back({*std::move(pattern), *behavior, invert});
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddPunctuation(JsonObject& object) {
  const std::string name = object.Get<std::string>("behavior", "Isolated");
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  const absl::StatusOr<Behavior> behavior = ParseBehavior(object, name);
  if (!behavior.ok()) return behavior.status();
  steps_.push_back({*Pattern::Parse(kPunctuation), *behavior});
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddDelimiter(JsonObject& object) {
  const bool by_space = object.Get<std::string>("type") == "WhitespaceSplit";
  const std::string delimiter = by_space ? "" : object.Get<std::string>("delimiter");
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (!by_space && !IsOneCharacter(delimiter)) return object.Unsupported("delimiter", "a character");
  absl::StatusOr<Pattern> pattern = by_space ? Pattern::Parse(kSpace) : Pattern::Literal(delimiter);
  if (!pattern.ok()) return pattern.status();
  steps_.push_back({*std::move(pattern), Behavior::kRemoved});
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddMetaspace(JsonObject& object) {
  Step step;
  step.space = object.Get<std::string>("replacement");
  // Older files have this instead of prepend_scheme, and str_rep beside replacement.
  const bool prefix = object.Get<bool>("add_prefix_space", true);
  object.Get<std::string>("str_rep", "");
  const std::string scheme = object.Get<std::string>("prepend_scheme", prefix ? "always" : "never");
  const bool split = object.Get<bool>("split", true);
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (scheme == "always" || scheme == "first") {
    step.space_before = scheme == "always" ? SpaceBefore::kAll : SpaceBefore::kFirst;
  } else if (scheme != "never") {
    return object.Unsupported("prepend_scheme", "always, first or never");
  }
  if (!IsOneCharacter(step.space)) return object.Unsupported("replacement", "a character");
  absl::StatusOr<Pattern> pattern = Pattern::Literal(step.space);
  if (!pattern.ok()) return pattern.status();
  step.behavior = Behavior::kMergedWithNext;
  if (split) step.pattern = *std::move(pattern);
  steps_.push_back(std::move(step));
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddByteLevel(JsonObject& object) {
  if (byte_level_) return object.Unsupported("type", "one ByteLevel");
  Step step;
  if (object.Get<bool>("add_prefix_space")) step.space_before = SpaceBefore::kAll;
  object.Get<bool>("trim_offsets", true);
  const bool use_regex = object.Get<bool>("use_regex", true);
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (use_regex) step.pattern = *Pattern::Parse(kGpt2Words);
  steps_.push_back(std::move(step));
  byte_level_ = true;
  return absl::OkStatus();
}

void PreTokenizer::Split(absl::string_view text, bool begins, OnWord word) const {
  Run(0, text, begins, word);
}

bool PreTokenizer::Run(size_t step, absl::string_view text, bool begins, OnWord word) const {
  if (text.empty()) return true;
  if (step == first_in_alphabet_) {
    const auto bytes_of_word = [word](absl::string_view characters) {
      return word(BytesFromAlphabet(characters).value_or(std::string(characters)));
    };
    return Cut(step, AlphabetFromBytes(text), begins, bytes_of_word);
  }
  return step == steps_.size() ? word(text) : Cut(step, text, begins, word);
}

bool PreTokenizer::Cut(size_t step, absl::string_view text, bool begins, OnWord word) const {
  const Step& now = steps_[step];
  std::string changed;
  if (now.space != " ") text = changed = absl::StrReplaceAll(text, {{" ", now.space}});
  const bool wants_space = now.space_before == SpaceBefore::kAll || (now.space_before == SpaceBefore::kFirst && begins);
  if (wants_space && !absl::StartsWith(text, now.space)) text = changed = absl::StrCat(now.space, text);
  if (!now.pattern.has_value()) return Run(step + 1, text, begins, word);
  const auto run_part = [&](size_t begin, size_t end) {
    return Run(step + 1, text.substr(begin, end - begin), begins && begin == 0, word);
  };
  if (now.behavior == Behavior::kIsolated && !now.invert) {
    PatternMatcher matcher(*now.pattern, text);
    size_t done = 0;
    for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
      if (!run_part(done, match.begin) || !run_part(match.begin, match.end)) return false;
    }
    return run_part(done, text.size());
  }
  for (const Part& part : Merge(FindParts(now, text), now.behavior)) {
    if (now.behavior == Behavior::kRemoved && part.matches) continue;
    if (!run_part(part.begin, part.end)) return false;
  }
  return true;
}

std::vector<PreTokenizer::Part> PreTokenizer::FindParts(const Step& step, absl::string_view text) {
  std::vector<Part> parts;
  PatternMatcher matcher(*step.pattern, text);
  size_t done = 0;
  for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
    if (done < match.begin) parts.push_back({done, match.begin, step.invert});
    parts.push_back({match.begin, match.end, !step.invert});
  }
  if (done < text.size()) parts.push_back({done, text.size(), step.invert});
  return parts;
}

std::vector<PreTokenizer::Part> PreTokenizer::Merge(const std::vector<Part>& parts, Behavior behavior) {
  if (behavior == Behavior::kRemoved || behavior == Behavior::kIsolated) return parts;
  std::vector<Part> merged;
  bool last_matches = false;
  const auto add = [&](const Part& part) {
    // In a run of matches only the first one joins its neighbour.
    const bool joins = behavior == Behavior::kContiguous ? part.matches == last_matches : part.matches && !last_matches;
    last_matches = part.matches;
    if (!joins || merged.empty()) {
      merged.push_back(part);
      return;
    }
    merged.back().begin = std::min(merged.back().begin, part.begin);
    merged.back().end = std::max(merged.back().end, part.end);
  };
  if (behavior == Behavior::kMergedWithNext) {
    std::for_each(parts.rbegin(), parts.rend(), add);
    std::reverse(merged.begin(), merged.end());
  } else {
    std::for_each(parts.begin(), parts.end(), add);
  }
  return merged;
}

}  // namespace predictd
