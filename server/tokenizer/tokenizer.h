#ifndef PREDICTD_SERVER_TOKENIZER_TOKENIZER_H_
#define PREDICTD_SERVER_TOKENIZER_TOKENIZER_H_

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
#include "server/tokenizer/byte_trie.h"
#include "server/tokenizer/encode_limits.h"
#include "server/tokenizer/marked_text.h"
#include "server/tokenizer/text_range.h"
#include "server/tokenizer/token_table.h"

namespace predictd {

// Turns text into token ids and back, as the model's own tokenizer does. Immutable; any thread may call it.
class Tokenizer {
 public:
  using Range = TextRange;

  // The files of the largest vocabularies have a fifth of this size.
  static constexpr int64_t kMaxFileBytes = int64_t{256} << 20;

  // Reads tokenizer.json (byte-level BPE) or tokenizer.model (SentencePiece) from a version's folder. NOT_FOUND if
  // there is neither; INVALID_ARGUMENT says what is wrong or not supported. Reads files.
  static absl::StatusOr<std::shared_ptr<const Tokenizer>> Load(const std::filesystem::path& folder);

  virtual ~Tokenizer() = default;

  // The tokens of any bytes; bytes that are not UTF-8 count as U+FFFD. Special tokens are recognised only where all of
  // their bytes are in `trusted`, whose ranges must be sorted and disjoint: elsewhere they are ordinary text, so that
  // nobody can forge a turn of a chat. Takes time in proportion to the length, whatever the text is. Adds no tokens of
  // its own, not even `prefix`. It gives up within a few milliseconds once the limits say so; then the limits still say
  // so afterwards, and only some of the tokens are returned.
  std::vector<int32_t> Encode(absl::string_view text, absl::Span<const Range> trusted,
                              const EncodeLimits& limits = {}) const;

  // The tokens that a model expects before a text that is not a chat: its token for the beginning of a text, or none.
  const std::vector<int32_t>& prefix() const { return table_.prefix; }

  // The text of `ids`. Unknown ids are ignored, and bytes that are not UTF-8 become U+FFFD.
  std::string Decode(absl::Span<const int32_t> ids, bool skip_special) const;

  // The bytes that a token stands for within running text, which may be only a part of a character. Empty for unknown
  // ids.
  absl::string_view TokenBytes(int32_t id) const;

  bool IsSpecial(int32_t id) const;

  // The id of the special token that is written like this.
  std::optional<int32_t> SpecialToken(absl::string_view text) const;

  // Whether a special token is written anywhere in this text.
  bool HoldsSpecialToken(absl::string_view text) const;

  // One more than the largest id.
  int32_t size() const { return static_cast<int32_t>(table_.tokens.size()); }

  // Returns the bytes of the tokens of a whole text, one token after the other: they are TokenBytes without the spaces
  // at the beginning that come from the tokenizer itself.
  class TextBytes {
   public:
    // The tokenizer must outlive it.
    explicit TextBytes(const Tokenizer& tokenizer)
        : tokenizer_(tokenizer), drops_(tokenizer.table_.leading_spaces != TokenTable::LeadingSpaces::kKept) {}

    // Valid until the next call.
    absl::string_view Next(int32_t id);

    // Whether a space that comes next is left out, because there has been no text yet.
    bool drops_spaces() const { return drops_; }

   private:
    const Tokenizer& tokenizer_;
    bool drops_;
    // The bytes of a token from whose middle spaces are left out.
    std::string without_spaces_;
  };

 protected:
  explicit Tokenizer(TokenTable table);

  // Appends the tokens of a text, which must be UTF-8.
  virtual void EncodeText(MarkedView text, const EncodeLimits& limits, std::vector<int32_t>& ids) const = 0;

 private:
  bool IsToken(int32_t id) const { return id >= 0 && id < size(); }

  const TokenTable table_;
  // How special tokens are written.
  ByteTrie special_texts_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_TOKENIZER_H_
