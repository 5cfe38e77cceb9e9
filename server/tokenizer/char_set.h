#ifndef PREDICTD_SERVER_TOKENIZER_CHAR_SET_H_
#define PREDICTD_SERVER_TOKENIZER_CHAR_SET_H_

#include <unicode/uniset.h>
#include <unicode/utf8.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/string_view.h"

namespace predictd {

// A set of characters with a fast lookup. Immutable.
class CharSet {
 public:
  // The strings in `set` are ignored.
  explicit CharSet(const icu::UnicodeSet& set) {
    auto frozen = std::make_shared<icu::UnicodeSet>(set);
    frozen->removeAllStrings();
    frozen->freeze();
    for (size_t c = 0; c < ascii_.size(); ++c) ascii_[c] = frozen->contains(static_cast<UChar32>(c)) != 0;
    set_ = std::move(frozen);
  }

  // If the character at `position` of `text` is in the set, moves `position` behind it. The text must be UTF-8.
  bool Consume(absl::string_view text, size_t& position) const {
    if (position >= text.size()) return false;
    const auto first = static_cast<uint8_t>(text[position]);
    if (first < ascii_.size()) {
      if (!ascii_[first]) return false;
      ++position;
      return true;
    }
    UChar32 character = 0;
    size_t next = position;
    U8_NEXT_UNSAFE(text.data(), next, character);
    if (!set_->contains(character)) return false;
    position = next;
    return true;
  }

  bool operator==(const CharSet& other) const { return *set_ == *other.set_; }

 private:
  std::array<bool, 128> ascii_ = {};
  std::shared_ptr<const icu::UnicodeSet> set_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_CHAR_SET_H_
