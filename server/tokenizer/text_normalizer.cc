#include "server/tokenizer/text_normalizer.h"

#include <unicode/bytestream.h>
#include <unicode/edits.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

// ICU sorts combining marks by insertion, which takes quadratic time: runs that are longer than this are sorted first.
constexpr size_t kManyMarks = 64;

// One of a sequence of combining marks.
struct Mark {
  uint8_t combining_class;
  absl::string_view text;
};

void AppendSorted(std::vector<Mark>& marks, MarkedView part, MarkedText& result) {
  if (marks.size() < kManyMarks) return result.Append(part);
  // Marks of different classes are equivalent in any order.
  std::stable_sort(marks.begin(), marks.end(),
                   [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
  std::string sorted;
  for (const Mark& mark : marks) absl::StrAppend(&sorted, mark.text);
  result.AppendInstead(sorted, part);
}

// An equivalent text without long runs of unsorted combining marks.
MarkedText WithSortedMarks(MarkedView text) {
  MarkedText result;
  std::vector<Mark> marks;
  const absl::string_view bytes = text.text();
  size_t marks_begin = 0;
  for (size_t next = 0; next < bytes.size();) {
    const size_t begin = next;
    UChar32 character = 0;
    U8_NEXT_UNSAFE(bytes.data(), next, character);
    const uint8_t combining_class = u_getCombiningClass(character);
    if (combining_class != 0) {
      if (marks.empty()) marks_begin = begin;
      marks.push_back({combining_class, bytes.substr(begin, next - begin)});
      continue;
    }
    if (!marks.empty()) AppendSorted(marks, text.Part(marks_begin, begin), result);
    marks.clear();
    result.Append(text.Part(begin, next));
  }
  if (!marks.empty()) AppendSorted(marks, text.Part(marks_begin, bytes.size()), result);
  return result;
}

icu::StringPiece ToPiece(absl::string_view text) {
  return {text.data(), static_cast<int32_t>(text.size())};
}

absl::StatusOr<const icu::Normalizer2*> FindForm(const std::string& type) {
  UErrorCode error = U_ZERO_ERROR;
  if (type == "NFC") return icu::Normalizer2::getNFCInstance(error);
  if (type == "NFD") return icu::Normalizer2::getNFDInstance(error);
  if (type == "NFKC") return icu::Normalizer2::getNFKCInstance(error);
  if (type == "NFKD") return icu::Normalizer2::getNFKDInstance(error);
  return absl::NotFoundError(type);
}

}  // namespace

absl::StatusOr<TextNormalizer> TextNormalizer::Parse(const nlohmann::json& json, const std::string& path) {
  TextNormalizer result;
  if (json.is_null()) return result;
  if (absl::Status status = result.Add(json, path); !status.ok()) return status;
  return result;
}

absl::Status TextNormalizer::Add(const nlohmann::json& json, const std::string& path) {
  JsonObject object(json, path);
  const std::string type = object.Get<std::string>("type");
  if (type == "Sequence") {
    for (const auto& [item, item_path] : object.Items("normalizers")) {
      if (absl::Status status = Add(*item, item_path); !status.ok()) return status;
    }
    return object.Finish();
  }
  if (type == "Prepend") {
    steps_.emplace_back(Prepend{object.Get<std::string>("prepend")});
    return object.Finish();
  }
  if (type == "Replace") {
    absl::StatusOr<Pattern> pattern = ParsePatternObject(object, "pattern");
    if (!pattern.ok()) return pattern.status();
    steps_.emplace_back(Replace{*std::move(pattern), object.Get<std::string>("content")});
    return object.Finish();
  }
  if (type == "Strip") {
    steps_.emplace_back(Strip{object.Get<bool>("strip_left"), object.Get<bool>("strip_right")});
    return object.Finish();
  }
  if (type == "Lowercase") {
    steps_.emplace_back(Lowercase{});
    return object.Finish();
  }
  const absl::StatusOr<UnicodeForm> form = FindForm(type);
  if (!form.ok()) {
    return object.Unsupported("type", "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace or Sequence");
  }
  steps_.emplace_back(*form);
  return object.Finish();
}

MarkedText TextNormalizer::Normalize(MarkedView text) const {
  MarkedText result;
  result.Append(text);
  for (const Step& step : steps_) {
    result = std::visit([&result](const auto& now) { return Apply(now, result.view()); }, step);
  }
  return result;
}

bool TextNormalizer::CutsBeginning(absl::string_view text) const {
  if (text.empty()) return false;
  size_t next = 0;
  UChar32 character = 0;
  U8_NEXT_UNSAFE(text.data(), next, character);
  return u_isUWhiteSpace(character) && std::any_of(steps_.begin(), steps_.end(), [](const Step& step) {
           const auto* const strip = std::get_if<Strip>(&step);
           return strip != nullptr && strip->left;
         });
}

MarkedText TextNormalizer::Apply(UnicodeForm form, MarkedView text) {
  MarkedText sorted = WithSortedMarks(text);
  UErrorCode error = U_ZERO_ERROR;
  if (form->isNormalizedUTF8(ToPiece(sorted.view().text()), error)) return sorted;
  std::string normalized;
  icu::StringByteSink<std::string> sink(&normalized);
  icu::Edits edits;
  form->normalizeUTF8(0, ToPiece(sorted.view().text()), sink, &edits, error);
  // This fails only for lack of memory.
  if (U_FAILURE(error)) return sorted;
  MarkedText result;
  icu::Edits::Iterator edit = edits.getCoarseIterator();
  while (edit.next(error)) {
    const auto begin = static_cast<size_t>(edit.sourceIndex());
    const MarkedView part = sorted.view().Part(begin, begin + static_cast<size_t>(edit.oldLength()));
    if (edit.hasChange()) {
      const auto new_begin = static_cast<size_t>(edit.destinationIndex());
      result.AppendInstead(absl::string_view(normalized).substr(new_begin, static_cast<size_t>(edit.newLength())),
                           part);
    } else {
      result.Append(part);
    }
  }
  return result;
}

MarkedText TextNormalizer::Apply(const Prepend& step, MarkedView text) {
  MarkedText result;
  if (text.text().empty()) return result;
  result.Append(step.text, false);
  result.Append(text);
  return result;
}

MarkedText TextNormalizer::Apply(const Replace& step, MarkedView text) {
  MarkedText result;
  size_t done = 0;
  PatternMatcher matcher(step.pattern, text.text());
  for (Pattern::Match match{}; matcher.Next(match); done = match.end) {
    result.Append(text.Part(done, match.begin));
    result.AppendInstead(step.text, text.Part(match.begin, match.end));
  }
  result.Append(text.Part(done, text.text().size()));
  return result;
}

MarkedText TextNormalizer::Apply(const Strip& step, MarkedView text) {
  const absl::string_view bytes = text.text();
  size_t begin = 0;
  size_t end = bytes.size();
  UChar32 character = 0;
  for (size_t next = 0; step.left && next < end; begin = next) {
    U8_NEXT_UNSAFE(bytes.data(), next, character);
    if (!u_isUWhiteSpace(character)) break;
  }
  for (size_t previous = end; step.right && previous > begin; end = previous) {
    U8_PREV_UNSAFE(bytes.data(), previous, character);
    if (!u_isUWhiteSpace(character)) break;
  }
  MarkedText result;
  result.Append(text.Part(begin, end));
  return result;
}

// Works character by character: unlike lower-casing a whole text, this does not depend on the neighbours.
MarkedText TextNormalizer::Apply(const Lowercase& /*step*/, MarkedView text) {
  constexpr UChar32 kDottedCapitalI = 0x130;
  const absl::string_view bytes = text.text();
  MarkedText result;
  for (size_t next = 0; next < bytes.size();) {
    const size_t begin = next;
    UChar32 character = 0;
    U8_NEXT_UNSAFE(bytes.data(), next, character);
    const UChar32 lower = u_tolower(character);
    const MarkedView part = text.Part(begin, next);
    if (character == kDottedCapitalI) {
      // This is the only character that becomes two.
      result.AppendInstead("i\xCC\x87", part);
    } else if (lower == character) {
      result.Append(part);
    } else {
      char buffer[U8_MAX_LENGTH];
      size_t length = 0;
      U8_APPEND_UNSAFE(buffer, length, lower);
      result.AppendInstead(absl::string_view(buffer, length), part);
    }
  }
  return result;
}

}  // namespace predictd
