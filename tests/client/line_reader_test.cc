#include "client/predictctl/line_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <sstream>
#include <streambuf>
#include <string>
#include <utility>
#include <vector>

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Hands over one piece after the other, as a terminal does, and does something before some of them.
class Pieces : public std::streambuf {
 public:
  struct Piece {
    std::string text;
    std::function<void()> before = [] {};
  };

  explicit Pieces(std::vector<Piece> pieces) : pieces_(std::move(pieces)) {}

 private:
  int_type underflow() override {
    if (next_ == pieces_.size()) return traits_type::eof();
    Piece& piece = pieces_[next_++];
    piece.before();
    setg(piece.text.data(), piece.text.data(), piece.text.data() + piece.text.size());
    return traits_type::to_int_type(piece.text.front());
  }

  std::vector<Piece> pieces_;
  std::size_t next_ = 0;
};

std::vector<std::string> AllLines(LineReader& reader) {
  std::vector<std::string> lines;
  std::string line;
  while (reader.Read(line).ok()) lines.push_back(line);
  return lines;
}

TEST(LineReaderTest, LinesEndWithANewlineOrTheInput) {
  std::istringstream in("one\n\ntwo\r\nlast");
  LineReader reader(in, 100);
  EXPECT_THAT(AllLines(reader), ElementsAre("one", "", "two\r", "last"));
  std::string line;
  EXPECT_TRUE(absl::IsOutOfRange(reader.Read(line)));
}

TEST(LineReaderTest, LinesThatAreTooLongAreSkipped) {
  std::istringstream in("12345\n123456\n" + std::string(1000, 'x') + "\nend\n1234567");
  LineReader reader(in, 5);
  std::string line;
  EXPECT_TRUE(reader.Read(line).ok());
  EXPECT_EQ(line, "12345");
  for (int i = 0; i < 2; ++i) {
    const absl::Status status = reader.Read(line);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_THAT(std::string(status.message()), HasSubstr("longer than 5 bytes (--max-message-bytes)"));
  }
  EXPECT_TRUE(reader.Read(line).ok());
  EXPECT_EQ(line, "end");
  EXPECT_TRUE(absl::IsInvalidArgument(reader.Read(line)));
  EXPECT_TRUE(absl::IsOutOfRange(reader.Read(line)));
}

TEST(LineReaderTest, WhatHasComeOfALineCanBeDropped) {
  LineReader* reader = nullptr;
  const auto drop = [&reader] { reader->Drop(); };
  Pieces pieces({{"kept\n"}, {"forget"}, {" this"}, {"but not this\n", drop}, {"toolong"}, {"short\n", drop}, {"x"}});
  std::istream in(&pieces);
  LineReader own(in, 12);
  reader = &own;
  EXPECT_THAT(AllLines(own), ElementsAre("kept", "but not this", "short", "x"));
}

}  // namespace
}  // namespace predictd
