#ifndef PREDICTD_SERVER_TOKENIZER_BPE_TOKENIZER_H_
#define PREDICTD_SERVER_TOKENIZER_BPE_TOKENIZER_H_

#include <filesystem>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// Reads a tokenizer.json of Hugging Face's library with a BPE model. INVALID_ARGUMENT names the key of what is wrong or
// not supported. Reads the file.
absl::StatusOr<std::shared_ptr<const Tokenizer>> LoadBpeTokenizer(const std::filesystem::path& file);

// The same from the text of the file.
absl::StatusOr<std::shared_ptr<const Tokenizer>> ParseBpeTokenizer(absl::string_view json);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_BPE_TOKENIZER_H_
