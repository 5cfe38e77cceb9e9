#include "server/template/string.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/stringoptions.h>
#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <utility>

namespace predictd {
namespace {

// One character of UTF-8 and the position where it ends or, going back, begins.
struct Character {
  // Negative if it is not valid.
  UChar32 code;
  size_t place;
};

Character Next(absl::string_view text, size_t at) {
  auto place = static_cast<int32_t>(at);
  UChar32 code = 0;
  U8_NEXT(text.data(), place, static_cast<int32_t>(text.size()), code);
  return {code, static_cast<size_t>(place)};
}

Character Previous(absl::string_view text, size_t at) {
  auto place = static_cast<int32_t>(at);
  UChar32 code = 0;
  U8_PREV(text.data(), 0, place, code);
  return {code, static_cast<size_t>(place)};
}

// Like Python's str.isspace(): Unicode's white space, and the separators of ASCII.
bool IsSpace(UChar32 code) {
  return (code >= 0x1c && code <= 0x1f) || u_isUWhiteSpace(code) != 0;
}

bool EndsLine(UChar32 code) {
  return (code >= '\n' && code <= '\r') || (code >= 0x1c && code <= 0x1e) || code == 0x85 || code == 0x2028 ||
         code == 0x2029;
}

// Converts a part whose bytes all have the same origin.
std::string ConvertPart(absl::string_view part, LetterCase letter_case) {
  std::string converted;
  icu::StringByteSink<std::string> sink(&converted);
  const icu::StringPiece piece(part.data(), static_cast<int32_t>(part.size()));
  UErrorCode error = U_ZERO_ERROR;
  switch (letter_case) {
    case LetterCase::kUpper:
    case LetterCase::kWords:
      icu::CaseMap::utf8ToUpper("", 0, piece, sink, nullptr, error);
      break;
    case LetterCase::kLower:
      icu::CaseMap::utf8ToLower("", 0, piece, sink, nullptr, error);
      break;
    case LetterCase::kCapitalized:
    case LetterCase::kTitle:
      icu::CaseMap::utf8ToTitle("", U_TITLECASE_WHOLE_STRING | U_TITLECASE_NO_BREAK_ADJUSTMENT, nullptr, piece, sink,
                                nullptr, error);
      break;
  }
  return converted;
}

// Whether the next letter is the first of a word.
bool EndsWord(UChar32 code, LetterCase letter_case) {
  if (letter_case == LetterCase::kTitle) return u_hasBinaryProperty(code, UCHAR_CASED) == 0;
  return letter_case == LetterCase::kWords &&
         (IsSpace(code) || code == '-' || code == '(' || code == '{' || code == '[' || code == '<');
}

void AppendConverted(const TemplateString& text, size_t begin, size_t end, LetterCase letter_case,
                     TemplateString& converted) {
  const absl::string_view all = text.text();
  for (const TextRange& range : text.trusted()) {
    if (range.end <= begin || range.begin >= end) continue;
    if (begin < range.begin)
      converted.AppendUntrusted(ConvertPart(all.substr(begin, range.begin - begin), letter_case));
    begin = std::max(begin, range.begin);
    const size_t stop = std::min(end, range.end);
    converted.AppendTrusted(ConvertPart(all.substr(begin, stop - begin), letter_case));
    begin = stop;
  }
  if (begin < end) converted.AppendUntrusted(ConvertPart(all.substr(begin, end - begin), letter_case));
}

std::vector<TemplateString> SplitAtSpace(const TemplateString& text, int64_t max_splits, size_t max_parts) {
  const absl::string_view all = text.text();
  std::vector<TemplateString> parts;
  size_t at = 0;
  while (true) {
    while (at < all.size() && IsSpace(Next(all, at).code)) at = Next(all, at).place;
    if (at == all.size() || parts.size() > max_parts) return parts;
    const size_t begin = at;
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) >= max_splits) {
      at = all.size();
    } else {
      while (at < all.size() && !IsSpace(Next(all, at).code)) at = Next(all, at).place;
    }
    parts.push_back(text.Part(begin, at));
  }
}

}  // namespace

TemplateString TemplateString::Trusted(absl::string_view text) {
  TemplateString result;
  result.AppendTrusted(text);
  return result;
}

TemplateString TemplateString::Untrusted(absl::string_view text) {
  TemplateString result;
  result.AppendUntrusted(text);
  return result;
}

void TemplateString::Append(const TemplateString& other) {
  AppendPart(other, 0, other.size());
}

void TemplateString::AppendTrusted(absl::string_view text) {
  Trust(text_.size(), text_.size() + text.size());
  text_.append(text.data(), text.size());
}

void TemplateString::AppendPart(const TemplateString& other, size_t begin, size_t end) {
  if (begin >= end) return;
  const size_t here = text_.size();
  auto range = std::partition_point(other.trusted_.begin(), other.trusted_.end(),
                                    [begin](const TextRange& range) { return range.end <= begin; });
  for (; range != other.trusted_.end() && range->begin < end; ++range) {
    Trust(here + std::max(range->begin, begin) - begin, here + std::min(range->end, end) - begin);
  }
  text_.append(other.text_, begin, end - begin);
}

TemplateString TemplateString::Part(size_t begin, size_t end) const {
  TemplateString part;
  part.AppendPart(*this, begin, end);
  return part;
}

void TemplateString::Trust(size_t begin, size_t end) {
  if (begin == end) return;
  if (!trusted_.empty() && trusted_.back().end == begin) {
    trusted_.back().end = end;
  } else {
    trusted_.push_back({begin, end});
  }
}

size_t CountCharacters(absl::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at = Next(text, at).place) ++count;
  return count;
}

size_t AdvanceCharacters(absl::string_view text, size_t from, size_t count) {
  for (; count > 0 && from < text.size(); --count) from = Next(text, from).place;
  return from;
}

size_t FindPart(absl::string_view text, absl::string_view part, size_t from) {
  if (from > text.size()) return absl::string_view::npos;
  if (part.empty()) return from;
  // The C library's memmem takes linear time, which std::string::find() does not.
  const void* const found = memmem(text.data() + from, text.size() - from, part.data(), part.size());
  if (found == nullptr) return absl::string_view::npos;
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

size_t CountParts(absl::string_view text, absl::string_view part) {
  size_t count = 0;
  for (size_t at = FindPart(text, part, 0); at != absl::string_view::npos;
       at = FindPart(text, part, at + part.size())) {
    ++count;
  }
  return count;
}

TemplateString Strip(const TemplateString& text, StripSide side, const std::string* characters) {
  std::vector<UChar32> codes;
  if (characters != nullptr) {
    for (size_t at = 0; at < characters->size(); at = Next(*characters, at).place) {
      codes.push_back(Next(*characters, at).code);
    }
  }
  const auto is_stripped = [&](UChar32 code) {
    if (characters == nullptr) return IsSpace(code);
    return code >= 0 && std::find(codes.begin(), codes.end(), code) != codes.end();
  };
  const absl::string_view all = text.text();
  size_t begin = 0;
  size_t end = all.size();
  if (side != StripSide::kRight) {
    while (begin < end && is_stripped(Next(all, begin).code)) begin = Next(all, begin).place;
  }
  if (side != StripSide::kLeft) {
    while (begin < end && is_stripped(Previous(all, end).code)) end = Previous(all, end).place;
  }
  return text.Part(begin, end);
}

TemplateString Replace(const TemplateString& text, absl::string_view from, const TemplateString& to,
                       int64_t max_count) {
  const absl::string_view all = text.text();
  TemplateString result;
  size_t done = 0;
  size_t search = 0;
  for (int64_t count = 0; max_count < 0 || count < max_count; ++count) {
    // An empty text is found at each character and at the end.
    if (search > all.size()) break;
    const size_t found = from.empty() ? search : FindPart(all, from, search);
    if (found == absl::string_view::npos) break;
    result.AppendPart(text, done, found);
    result.Append(to);
    done = found + from.size();
    search = !from.empty() ? done : found < all.size() ? Next(all, found).place : found + 1;
  }
  result.AppendPart(text, done, all.size());
  return result;
}

std::vector<TemplateString> Split(const TemplateString& text, const std::string* separator, int64_t max_splits,
                                  size_t max_parts) {
  if (separator == nullptr) return SplitAtSpace(text, max_splits, max_parts);
  std::vector<TemplateString> parts;
  size_t begin = 0;
  while ((max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits) && parts.size() <= max_parts) {
    const size_t found = FindPart(text.text(), *separator, begin);
    if (found == std::string::npos) break;
    parts.push_back(text.Part(begin, found));
    begin = found + separator->size();
  }
  parts.push_back(text.Part(begin, text.size()));
  return parts;
}

std::vector<TemplateString> SplitLines(const TemplateString& text, size_t max_parts) {
  const absl::string_view all = text.text();
  std::vector<TemplateString> lines;
  for (size_t at = 0; at < all.size() && lines.size() <= max_parts;) {
    const size_t begin = at;
    Character next = Next(all, at);
    while (!EndsLine(next.code) && next.place < all.size()) {
      at = next.place;
      next = Next(all, at);
    }
    if (!EndsLine(next.code)) at = next.place;
    lines.push_back(text.Part(begin, at));
    at = next.place;
    if (next.code == '\r' && at < all.size() && all[at] == '\n') ++at;
  }
  return lines;
}

TemplateString ConvertCase(const TemplateString& text, LetterCase letter_case) {
  const absl::string_view all = text.text();
  TemplateString converted;
  if (letter_case == LetterCase::kUpper || letter_case == LetterCase::kLower) {
    AppendConverted(text, 0, all.size(), letter_case, converted);
    return converted;
  }
  bool starts_word = true;
  size_t at = 0;
  while (at < all.size()) {
    // Takes a first letter, or everything up to the next one.
    const bool is_first = starts_word;
    const size_t begin = at;
    do {
      const Character next = Next(all, at);
      at = next.place;
      starts_word = EndsWord(next.code, letter_case);
    } while (!is_first && !starts_word && at < all.size());
    AppendConverted(text, begin, at, is_first ? letter_case : LetterCase::kLower, converted);
  }
  return converted;
}

}  // namespace predictd
