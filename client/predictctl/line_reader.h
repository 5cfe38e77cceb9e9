// Lines from a person or from a program.
#ifndef PREDICTD_CLIENT_PREDICTCTL_LINE_READER_H_
#define PREDICTD_CLIENT_PREDICTCTL_LINE_READER_H_

#include <atomic>
#include <cstddef>
#include <istream>
#include <string>

#include "absl/status/status.h"

namespace predictd {

// One thread reads; any thread may drop what it has read of its line.
class LineReader {
 public:
  // Keeps at most `longest` bytes of a line.
  LineReader(std::istream& in, std::size_t longest) : in_(in), longest_(longest) {}

  // Reads the next line, without its newline. OUT_OF_RANGE at the end, INVALID_ARGUMENT for a line that is too long,
  // after which the next one can be read.
  absl::Status Read(std::string& line);

  // Drops what has come of the line that is being read, as the terminal does with what it has not handed over yet.
  void Drop() { ++drops_; }

 private:
  std::istream& in_;
  const std::size_t longest_;
  std::atomic<int> drops_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_LINE_READER_H_
