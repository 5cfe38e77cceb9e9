#ifndef PREDICTD_SERVER_TOKENIZER_MARKED_TEXT_H_
#define PREDICTD_SERVER_TOKENIZER_MARKED_TEXT_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace predictd {

// A part of a text that knows which of its bytes are trusted. Cheap to copy; the text must outlive it.
class MarkedView {
 public:
  // `marks` has one byte for each byte of `text`.
  MarkedView(absl::string_view text, absl::string_view marks) : text_(text), marks_(marks) {}

  absl::string_view text() const { return text_; }
  MarkedView Part(size_t begin, size_t end) const {
    return {text_.substr(begin, end - begin), marks_.substr(begin, end - begin)};
  }
  bool AllTrusted(size_t begin, size_t end) const { return CountTrusted(begin, end) == end - begin; }
  bool AnyTrusted(size_t begin, size_t end) const { return CountTrusted(begin, end) > 0; }

 private:
  friend class MarkedText;

  size_t CountTrusted(size_t begin, size_t end) const {
    size_t count = 0;
    for (const char mark : marks_.substr(begin, end - begin)) count += mark != 0 ? 1 : 0;
    return count;
  }

  absl::string_view text_;
  absl::string_view marks_;
};

// A text that is written piece by piece from another text, and takes over its marks.
class MarkedText {
 public:
  void Append(MarkedView part) {
    text_.append(part.text_.data(), part.text_.size());
    marks_.append(part.marks_.data(), part.marks_.size());
  }
  void Append(absl::string_view text, bool trusted) {
    text_.append(text.data(), text.size());
    marks_.append(text.size(), trusted ? '\1' : '\0');
  }
  // Appends a replacement for `part`, which is trusted if `part` is not empty and all of it is trusted.
  void AppendInstead(absl::string_view text, MarkedView part) {
    Append(text, !part.text_.empty() && part.AllTrusted(0, part.text_.size()));
  }

  MarkedView view() const { return {text_, marks_}; }

 private:
  std::string text_;
  std::string marks_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_MARKED_TEXT_H_
