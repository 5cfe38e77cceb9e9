#include "server/tokenizer/bpe_tokenizer.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "server/files/regular_file.h"
#include "server/tokenizer/tokenizer_json.h"

namespace predictd {
namespace {

class BpeTokenizer : public Tokenizer {
 public:
  // The table of `parts` has been moved out.
  BpeTokenizer(TokenTable table, TokenizerJson parts) : Tokenizer(std::move(table)), parts_(std::move(parts)) {}

 protected:
  void EncodeText(MarkedView text, const EncodeLimits& limits, std::vector<int32_t>& ids) const override {
    Bpe::Scratch scratch;
    const auto add_token = [&ids](int32_t id) { ids.push_back(id); };
    const auto add_word = [&](absl::string_view word) {
      if (limits.GivesUp(ids.size())) return false;
      parts_.bpe.Encode(word, limits, scratch, ids);
      return true;
    };
    const auto add_normalized = [&](MarkedView normalized, bool begins) {
      const char* const first = normalized.text().data();
      const auto add_words = [&](MarkedView part) {
        parts_.pre_tokenizer.Split(part.text(), begins && part.text().data() == first, add_word);
      };
      parts_.added_normalized.Split(normalized, add_words, add_token);
    };
    const auto add_text = [&](MarkedView part) {
      const bool begins = part.text().data() == text.text().data();
      if (parts_.normalizer.is_identity()) return add_normalized(part, begins);
      const MarkedText normalized = parts_.normalizer.Normalize(part);
      add_normalized(normalized.view(), begins && !parts_.normalizer.CutsBeginning(part.text()));
    };
    parts_.added.Split(text, add_text, add_token);
  }

 private:
  const TokenizerJson parts_;
};

}  // namespace

absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadBpeTokenizer(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> content = ReadRegularFile(file, Tokenizer::kMaxFileBytes);
  if (!content.ok()) return content.status();
  return ParseBpeTokenizer(*content);
}

absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseBpeTokenizer(absl::string_view json) {
  absl::StatusOr<TokenizerJson> parts = TokenizerJson::Parse(json);
  if (!parts.ok()) return parts.status();
  TokenTable table = std::move(parts->table);
  return std::make_shared<const BpeTokenizer>(std::move(table), *std::move(parts));
}

}  // namespace predictd
