#include "client/predictctl/line_reader.h"

#include "absl/strings/str_cat.h"

namespace predictd {

absl::Status LineReader::Read(std::string& line) {
  line.clear();
  int drops = drops_;
  bool too_long = false;
  while (true) {
    const int next = in_.get();
    // What came before the drop belonged to the line that was dropped, and what has come now does not.
    if (const int now = drops_; now != drops) {
      drops = now;
      line.clear();
      too_long = false;
    }
    const bool at_end = next == std::istream::traits_type::eof();
    if (at_end && line.empty() && !too_long) return absl::OutOfRangeError("no more lines");
    if (at_end || next == '\n') break;
    if (line.size() < longest_) {
      line.push_back(static_cast<char>(next));
    } else {
      too_long = true;
    }
  }
  if (!too_long) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("this line is longer than ", longest_, " bytes (--max-message-bytes)"));
}

}  // namespace predictd
