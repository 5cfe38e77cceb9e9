#ifndef PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_
#define PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/generation/stop_matcher.h"
#include "server/generation/written_stops.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// Turns the tokens of one answer into text as they come. All pieces together are what Tokenizer::Decode, without
// special tokens, makes of the prompt and the answer beyond what it makes of the prompt alone; so a space that
// continues a text stays. A character of which the prompt has only the beginning belongs to the answer if the answer
// completes it.
//
// The text ends before the first stop string: the one that is complete first, and of those that end at the same place
// the longest. Stop strings that contain a special token are looked for in the answer with its special tokens written
// out. For one thread.
class TextStream {
 public:
  struct Piece {
    // Whole characters. Text that may be the beginning of a stop string is held back until that is decided.
    std::string text;
    // A stop string was found: this piece ends before it, and all later ones are empty.
    bool stopped = false;
    // The stop string that was found.
    std::string stop_string;
  };

  // The tokenizer must outlive it. The strings must be UTF-8 and none may be empty. Takes time in proportion to the
  // prompt only if the prompt consists of nothing but special tokens.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings, absl::Span<const int32_t> prompt);

  // Takes the next token, in time proportional to its bytes.
  Piece Add(int32_t token);
  // The same for a token that ends the answer and is not part of its text: it can only complete a stop string.
  Piece AddEnd(int32_t token);

  // Returns what was held back; call it when no token follows. The last bytes may become U+FFFD, and that may complete
  // a stop string.
  Piece Finish();

 private:
  void TakePrompt(absl::Span<const int32_t> prompt);
  // Takes the next bytes of valid text.
  void AddText(absl::string_view text, Piece& piece);
  // Takes a special token, which is not part of the text.
  void AddWritten(absl::string_view text, Piece& piece);
  // Ends the text `bytes` bytes before the end of what was held back.
  void Stop(size_t bytes, const std::string& stop_string, Piece& piece);
  void Release(Piece& piece);

  const Tokenizer& tokenizer_;
  Tokenizer::TextBytes bytes_;
  // Watches for the strings with special tokens, if there are any; `matcher_` watches for the others.
  std::optional<WrittenStops> written_;
  StopMatcher matcher_;
  // Bytes that may become a character.
  std::string incomplete_;
  // Whether that character began in the prompt: if it is never completed, it is not part of the answer.
  bool began_in_prompt_ = false;
  // Text that has not been returned yet.
  std::string held_;
  bool stopped_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_
