#ifndef PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_
#define PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// Reads a tokenizer.model of SentencePiece, unigram or BPE. INVALID_ARGUMENT says what is wrong or not supported. Reads
// the file.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadSentencePieceTokenizer(const std::filesystem::path& file);

// The same from the bytes of the file.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseSentencePieceTokenizer(absl::string_view bytes);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_SENTENCEPIECE_TOKENIZER_H_
