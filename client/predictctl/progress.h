// The line on a terminal that shows the progress of a stream.
#ifndef PREDICTD_CLIENT_PREDICTCTL_PROGRESS_H_
#define PREDICTD_CLIENT_PREDICTCTL_PROGRESS_H_

#include <cstdint>
#include <ostream>

#include "absl/time/time.h"

namespace predictd {

// Draws and redraws one line. Used by one thread.
class Progress {
 public:
  // Does nothing at all unless `enabled`, which is false if `out` is not a terminal.
  Progress(std::ostream& out, bool enabled);
  // Clears the line.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // Redraws "120/360 rows, 33%, 5210 rows/s", at most ten times a second.
  void Show(std::int64_t done, std::int64_t total);

  // Makes room for other text on the same terminal.
  void Clear();

 private:
  std::ostream& out_;
  const bool enabled_;
  const absl::Time start_;
  absl::Time drawn_at_ = absl::InfinitePast();
  bool visible_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_PROGRESS_H_
