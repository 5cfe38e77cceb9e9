#ifndef PREDICTD_SERVER_TOKENIZER_TEXT_NORMALIZER_H_
#define PREDICTD_SERVER_TOKENIZER_TEXT_NORMALIZER_H_

#include <unicode/normalizer2.h>

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/tokenizer/json_object.h"
#include "server/tokenizer/marked_text.h"
#include "server/tokenizer/pattern.h"

namespace predictd {

// Changes a text before it is cut into tokens, according to the `normalizer` of a tokenizer.json. Immutable; any thread
// may call it. Takes time in proportion to the text.
class TextNormalizer {
 public:
  // From the `normalizer` of a tokenizer.json, or null. Knows NFC, NFD, NFKC, NFKD, Lowercase, Strip, Prepend, Replace
  // and Sequence.
  static absl::StatusOr<TextNormalizer> Parse(const nlohmann::json& json, const std::string& path);

  // The replacement of trusted text is trusted. `text` must be UTF-8.
  MarkedText Normalize(MarkedView text) const;

  // Whether the beginning of such a text is removed, so that the rest does not count as the beginning of a text.
  bool CutsBeginning(absl::string_view text) const;

  // Whether every text stays as it is.
  bool is_identity() const { return steps_.empty(); }

 private:
  struct Prepend {
    std::string text;
  };
  struct Replace {
    Pattern pattern;
    std::string text;
  };
  struct Strip {
    bool left;
    bool right;
  };
  struct Lowercase {};
  // One of ICU's normalizers, which live as long as the program.
  using UnicodeForm = const icu::Normalizer2*;
  using Step = std::variant<UnicodeForm, Prepend, Replace, Strip, Lowercase>;

  absl::Status Add(const nlohmann::json& json, const std::string& path);

  static MarkedText Apply(UnicodeForm form, MarkedView text);
  static MarkedText Apply(const Prepend& step, MarkedView text);
  static MarkedText Apply(const Replace& step, MarkedView text);
  static MarkedText Apply(const Strip& step, MarkedView text);
  static MarkedText Apply(const Lowercase& step, MarkedView text);

  std::vector<Step> steps_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TEXT_NORMALIZER_H_
