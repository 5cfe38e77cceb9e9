#ifndef PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_
#define PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "server/generation/stop_matcher.h"
#include "server/generation/tokenizer.h"

namespace predictd {

// Turns the tokens of one answer into text as they come. All pieces together are what Tokenizer::Decode makes of all
// the tokens, without special ones, up to the first stop string: the first to be complete, and of those that end at the
// same place the longest. For one thread.
class TextStream {
 public:
  struct Piece {
    // Whole characters. What may be the beginning of a stop string is held back until that is known.
    std::string text;
    // A stop string was found: this piece ends before it, and all later ones are empty.
    bool stopped = false;
    // Which.
    std::string stop_string;
  };

  // The tokenizer outlives it. The strings are UTF-8 and none of them is empty.
  TextStream(const Tokenizer& tokenizer, std::vector<std::string> stop_strings);

  // Takes the next token. Takes time in proportion to its bytes.
  Piece Add(int32_t token);

  // What was held back, when no token follows. The last bytes may become U+FFFD, or complete a stop string by that.
  Piece Finish();

 private:
  // Takes the next bytes of valid text.
  void AddText(absl::string_view text, Piece& piece);
  void Release(Piece& piece);

  const Tokenizer& tokenizer_;
  Tokenizer::TextBytes bytes_;
  StopMatcher matcher_;
  // Bytes that may become a character.
  std::string incomplete_;
  // Text that has not been given out.
  std::string held_;
  bool stopped_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEXT_STREAM_H_
