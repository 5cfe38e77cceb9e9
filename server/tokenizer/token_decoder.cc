#include "server/tokenizer/token_decoder.h"

#include <cctype>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/text/utf8.h"
#include "server/tokenizer/byte_alphabet.h"

namespace predictd {
namespace {

// Whether the name looks like <0x0A>.
bool IsByteToken(absl::string_view name) {
  return name.size() == 6 && absl::StartsWith(name, "<0x") && absl::EndsWith(name, ">") &&
         isxdigit(static_cast<unsigned char>(name[3])) != 0 && isxdigit(static_cast<unsigned char>(name[4])) != 0;
}

}  // namespace

absl::StatusOr<TokenDecoder> TokenDecoder::Parse(const nlohmann::json& json, const std::string& path) {
  TokenDecoder decoder;
  if (absl::Status status = decoder.Add(json, path); !status.ok()) return status;
  return decoder;
}

absl::Status TokenDecoder::Add(const nlohmann::json& json, const std::string& path) {
  JsonObject object(json, path);
  const std::string type = object.Get<std::string>("type");
  if (type == "Sequence") {
    for (const auto& [item, item_path] : object.Items("decoders")) {
      if (absl::Status status = Add(*item, item_path); !status.ok()) return status;
    }
  } else if (type == "ByteLevel") {
    // These options only affect encoding.
    object.Get<bool>("add_prefix_space", true);
    object.Get<bool>("trim_offsets", true);
    object.Get<bool>("use_regex", true);
    byte_level_ = true;
  } else if (type == "Replace" && !fused_ && !byte_fallback_ && !byte_level_) {
    absl::StatusOr<Pattern> pattern = ParsePatternObject(object, "pattern");
    if (!pattern.ok()) return pattern.status();
    replaces_.push_back({*std::move(pattern), object.Get<std::string>("content")});
  } else if (type == "ByteFallback" && !fused_ && !byte_level_) {
    byte_fallback_ = true;
  } else if (type == "Fuse") {
    fused_ = true;
  } else if (type == "Metaspace" && !fused_ && !byte_level_ && space_.empty()) {
    if (absl::Status status = AddMetaspace(object); !status.ok()) return status;
  } else if (type == "Strip" && fused_ && leading_spaces_ == TokenTable::LeadingSpaces::kKept) {
    const std::string content = object.Get<std::string>("content");
    if (object.Get<uint32_t>("start") != 1) return object.Unsupported("start", "1");
    if (object.Get<uint32_t>("stop") != 0) return object.Unsupported("stop", "0");
    if (content != " ") return object.Unsupported("content", "a space");
    leading_spaces_ = TokenTable::LeadingSpaces::kOneDropped;
  } else {
    return object.Unsupported("type",
                              "ByteLevel, Metaspace, or a Sequence of Replace, ByteFallback, Fuse and Strip in this "
                              "order");
  }
  return object.Finish();
}

absl::Status TokenDecoder::AddMetaspace(JsonObject& object) {
  space_ = object.Get<std::string>("replacement");
  // The options are those of the pre-tokenizer of that name.
  const bool prefix = object.Get<bool>("add_prefix_space", true);
  object.Get<std::string>("str_rep", "");
  object.Get<bool>("split", true);
  const std::string scheme = object.Get<std::string>("prepend_scheme", prefix ? "always" : "never");
  if (scheme != "always" && scheme != "first" && scheme != "never") {
    return object.Unsupported("prepend_scheme", "always, first or never");
  }
  if (!IsOneCharacter(space_)) return object.Unsupported("replacement", "a character");
  absl::StatusOr<Pattern> pattern = Pattern::Literal(space_);
  if (!pattern.ok()) return pattern.status();
  replaces_.push_back({*std::move(pattern), " "});
  if (scheme != "never") leading_spaces_ = TokenTable::LeadingSpaces::kFirstTokensDropped;
  return absl::OkStatus();
}

bool TokenDecoder::KeepsSpaces(absl::string_view name) const {
  return !space_.empty() && !absl::StrContains(name, space_);
}

std::string TokenDecoder::Bytes(absl::string_view name) const {
  std::string text(name);
  for (const Replace& replace : replaces_) {
    std::string replaced;
    size_t done = 0;
    PatternMatcher matcher(replace.pattern, text);
    for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
      absl::StrAppend(&replaced, absl::string_view(text).substr(done, match.begin - done), replace.text);
    }
    absl::StrAppend(&replaced, absl::string_view(text).substr(done));
    text = std::move(replaced);
  }
  if (byte_fallback_ && IsByteToken(text)) return absl::HexStringToBytes(text.substr(3, 2));
  return byte_level_ ? BytesFromAlphabet(text).value_or(text) : text;
}

}  // namespace predictd
