#include "server/generation/pre_tokenizer.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// What ByteLevel cuts with, unless told not to.
constexpr char kGpt2Words[] = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr char kNumber[] = R"(\p{N})";

}  // namespace

absl::StatusOr<PreTokenizer> PreTokenizer::Parse(const nlohmann::json& json, const std::string& path) {
  PreTokenizer result;
  if (json.is_null()) return result;
  if (absl::Status status = result.Add(json, path); !status.ok()) return status;
  return result;
}

absl::Status PreTokenizer::Add(const nlohmann::json& json, const std::string& path) {
  if (byte_level_) return absl::InvalidArgumentError(absl::StrCat(path, ": nothing can follow ByteLevel"));
  JsonObject object(json, path);
  const std::string type = object.Get<std::string>("type");
  if (type == "Sequence") {
    for (const auto& [item, item_path] : object.Items("pretokenizers")) {
      if (absl::Status status = Add(*item, item_path); !status.ok()) return status;
    }
    return object.Finish();
  }
  if (type == "Split") return AddSplit(object, path);
  if (type == "ByteLevel") return AddByteLevel(object);
  if (type == "Digits") {
    const bool individual = object.Get<bool>("individual_digits");
    if (absl::Status status = object.Finish(); !status.ok()) return status;
    steps_.push_back({*Pattern::Parse(kNumber), individual ? Behavior::kIsolated : Behavior::kContiguous});
    return absl::OkStatus();
  }
  return object.Unsupported("type", "Split, Digits, ByteLevel or Sequence");
}

absl::Status PreTokenizer::AddSplit(JsonObject& object, const std::string& path) {
  constexpr std::pair<const char*, Behavior> kBehaviors[] = {{"Removed", Behavior::kRemoved},
                                                             {"Isolated", Behavior::kIsolated},
                                                             {"MergedWithPrevious", Behavior::kMergedWithPrevious},
                                                             {"MergedWithNext", Behavior::kMergedWithNext},
                                                             {"Contiguous", Behavior::kContiguous}};
  absl::StatusOr<Pattern> pattern = ParsePatternObject(object, "pattern");
  const std::string name = object.Get<std::string>("behavior");
  const bool invert = object.Get<bool>("invert");
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (!pattern.ok()) return pattern.status();
  const auto* const behavior = std::find_if(std::begin(kBehaviors), std::end(kBehaviors),
                                            [&name](const auto& entry) { return name == entry.first; });
  if (behavior == std::end(kBehaviors)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ".behavior: '", name, "' is unknown"));
  }
  steps_.push_back({*std::move(pattern), behavior->second, invert});
  return absl::OkStatus();
}

absl::Status PreTokenizer::AddByteLevel(JsonObject& object) {
  Step step;
  step.prefix_space = object.Get<bool>("add_prefix_space");
  object.Get<bool>("trim_offsets", true);
  const bool use_regex = object.Get<bool>("use_regex", true);
  if (absl::Status status = object.Finish(); !status.ok()) return status;
  if (use_regex) step.pattern = *Pattern::Parse(kGpt2Words);
  steps_.push_back(std::move(step));
  byte_level_ = true;
  return absl::OkStatus();
}

void PreTokenizer::Split(absl::string_view text, OnWord word) const {
  Run(0, text, word);
}

bool PreTokenizer::Run(size_t step, absl::string_view text, OnWord word) const {
  if (text.empty()) return true;
  if (step == steps_.size()) return word(text);
  const Step& now = steps_[step];
  std::string with_space;
  if (now.prefix_space && !absl::StartsWith(text, " ")) {
    with_space = absl::StrCat(" ", text);
    text = with_space;
  }
  if (!now.pattern.has_value()) return Run(step + 1, text, word);
  if (now.behavior == Behavior::kIsolated) {
    PatternMatcher matcher(*now.pattern, text);
    size_t done = 0;
    for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
      if (!Run(step + 1, text.substr(done, match.begin - done), word)) return false;
      if (!Run(step + 1, text.substr(match.begin, match.end - match.begin), word)) return false;
    }
    return Run(step + 1, text.substr(done), word);
  }
  for (const Part& part : Merge(FindParts(now, text), now.behavior)) {
    if (now.behavior == Behavior::kRemoved && part.matches) continue;
    if (!Run(step + 1, text.substr(part.begin, part.end - part.begin), word)) return false;
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
    // Of several matches in a row only the first joins its neighbour.
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
