#ifndef PREDICTD_SERVER_GENERATION_TEXT_NORMALIZER_H_
#define PREDICTD_SERVER_GENERATION_TEXT_NORMALIZER_H_

#include <unicode/normalizer2.h>

#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "server/generation/json_object.h"
#include "server/generation/marked_text.h"
#include "server/generation/pattern.h"

namespace predictd {

// Changes a text before it is cut into tokens, as the `normalizer` of a tokenizer.json says. Immutable; any thread may
// call it. Takes time in proportion to the text.
class TextNormalizer {
 public:
  // From the `normalizer` of a tokenizer.json, or null. Knows NFC, NFD, NFKC, NFKD, Prepend, Replace and Sequence.
  static absl::StatusOr<TextNormalizer> Parse(const nlohmann::json& json, const std::string& path);

  // What is put in place of trusted text is trusted. `text` is UTF-8.
  MarkedText Normalize(MarkedView text) const;

  // Whether it leaves every text as it is.
  bool is_identity() const { return steps_.empty(); }

 private:
  struct Prepend {
    std::string text;
  };
  struct Replace {
    Pattern pattern;
    std::string text;
  };
  // One of ICU's, which live as long as the program.
  using UnicodeForm = const icu::Normalizer2*;
  using Step = std::variant<UnicodeForm, Prepend, Replace>;

  absl::Status Add(const nlohmann::json& json, const std::string& path);

  static MarkedText Apply(UnicodeForm form, MarkedView text);
  static MarkedText Apply(const Prepend& step, MarkedView text);
  static MarkedText Apply(const Replace& step, MarkedView text);

  std::vector<Step> steps_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEXT_NORMALIZER_H_
