#ifndef PREDICTD_SERVER_GENERATION_WRITTEN_STOPS_H_
#define PREDICTD_SERVER_GENERATION_WRITTEN_STOPS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "server/generation/stop_matcher.h"

namespace predictd {

// Watches for stop strings in a text of which only a part is shown: special tokens are written out in it, but not
// shown. For one thread.
class WrittenStops {
 public:
  struct Match {
    // Valid as long as the object.
    const std::string* string;
    // How many of the string's bytes are shown.
    size_t shown;
  };

  // No string may be empty.
  explicit WrittenStops(std::vector<std::string> strings);

  // Takes the next byte. Returns a string that ends with it, if there is one.
  std::optional<Match> Add(char byte, bool shown);

  // How many of the shown bytes may belong to a string that has begun.
  size_t pending() const { return shown_count_; }

 private:
  StopMatcher matcher_;
  // For each byte that may belong to a string that has begun, whether it is shown.
  std::vector<bool> shown_;
  size_t shown_count_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_WRITTEN_STOPS_H_
