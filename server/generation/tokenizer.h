#ifndef PREDICTD_SERVER_GENERATION_TOKENIZER_H_
#define PREDICTD_SERVER_GENERATION_TOKENIZER_H_

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/generation/encode_limits.h"
#include "server/generation/marked_text.h"
#include "server/generation/text_range.h"
#include "server/generation/token_table.h"

namespace predictd {

// Turns text into token ids and back, as the model's own tokenizer does. Immutable; any thread may call it.
class Tokenizer {
 public:
  using Range = TextRange;

  // The largest vocabularies take a fifth of it.
  static constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

  // Reads tokenizer.json (byte-level BPE) or tokenizer.model (SentencePiece) of a version folder. NOT_FOUND if there is
  // neither, INVALID_ARGUMENT says what is wrong or not supported. Reads files.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::filesystem::path& folder);

  virtual ~Tokenizer() = default;

  // The tokens of any bytes; what is not UTF-8 counts as U+FFFD. Special tokens are recognised only where all of their
  // bytes are in `trusted` (sorted and disjoint): elsewhere they are ordinary text, so that nobody can forge a turn of
  // a chat. Takes time in proportion to the length, whatever the text is. Adds nothing, not even `prefix`. If it gives
  // up within a few milliseconds, as the limits say, then they still do, and only some of the tokens are there.
  std::vector<int32_t> Encode(absl::string_view text, absl::Span<const Range> trusted,
                              const EncodeLimits& limits = {}) const;

  // What a model expects before a text that is not a chat: its token for the beginning of a text, or nothing.
  const std::vector<int32_t>& prefix() const { return table_.prefix; }

  // The text of `ids`. Unknown ids are nothing, bytes that are no UTF-8 become U+FFFD.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const;

  // The bytes that a token stands for within running text: maybe a part of a character. Empty for unknown ids.
  absl::string_view TokenBytes(int32_t id) const;

  bool IsSpecial(int32_t id) const;

  // The id of the special token that is written like this.
  std::optional<int32_t> SpecialToken(absl::string_view text) const;

  // Every id is less.
  int32_t size() const { return static_cast<int32_t>(table_.tokens.size()); }

  // Gives the bytes of the tokens of a whole text, one after the other: TokenBytes without the spaces at the beginning
  // that come from the tokenizer itself.
  class TextBytes {
   public:
    // The tokenizer outlives it.
    explicit TextBytes(const Tokenizer& tokenizer)
        : tokenizer_(tokenizer), drops_(tokenizer.table_.leading_spaces != TokenTable::LeadingSpaces::kKept) {}

    absl::string_view Next(int32_t id);

   private:
    const Tokenizer& tokenizer_;
    // Whether a space that comes next is left out.
    bool drops_;
  };

 protected:
  explicit Tokenizer(TokenTable table) : table_(std::move(table)) {}

  // Appends the tokens of a text, which is UTF-8.
  virtual void EncodeText(MarkedView text, const EncodeLimits& limits, std::vector<int32_t>& ids) const = 0;

 private:
  bool IsToken(int32_t id) const { return id >= 0 && id < size(); }

  const TokenTable table_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TOKENIZER_H_
