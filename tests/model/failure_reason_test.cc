#include "server/model/failure_reason.h"

#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

constexpr char kFile[] = "/srv/my models/digits/1/model.pt";

struct ReasonCase {
  const char* cause;
  const char* reason;
};

std::ostream& operator<<(std::ostream& out, const ReasonCase& c) {
  return out << c.cause;
}

class FailureReasonTest : public testing::TestWithParam<ReasonCase> {};

TEST_P(FailureReasonTest, DoesWhatTheTableSays) {
  EXPECT_EQ(FailureReason(GetParam().cause, kFile), GetParam().reason);
}

INSTANTIATE_TEST_SUITE_P(
    Table, FailureReasonTest,
    testing::Values(
        ReasonCase{"", ""}, ReasonCase{"forward takes 2 arguments", "forward takes 2 arguments"},
        ReasonCase{"open failed: /srv/my models/digits/1/model.pt", "open failed: model.pt"},
        ReasonCase{"nothing in '/srv/my models/digits/1'.", "nothing in '1'."},
        ReasonCase{"nothing in '/srv/my models'", "nothing in 'my models'"},
        ReasonCase{"cannot read /etc/secret/key.", "cannot read key."},
        ReasonCase{"cannot read \"/etc/secret/key\"", "cannot read \"key\""},
        ReasonCase{"a:/tmp/x7Yz/data/code.so: undefined symbol", "a:code.so: undefined symbol"},
        ReasonCase{"failed at /pytorch/torch/csrc/runner.cpp, line 145", "failed at runner.cpp, line 145"},
        ReasonCase{"in the folder /var/lib/models/ nothing", "in the folder models nothing"},
        ReasonCase{"see file:///home/eve/x.py", "see x.py"}, ReasonCase{"/a", "a"},
        // These are no paths of the server.
        ReasonCase{"and/or, 1 / 2, a //, see https://example.org/a/b",
                   "and/or, 1 / 2, a //, see https://example.org/a/b"},
        ReasonCase{"either 1/model.pt or 1/model.pt2", "either 1/model.pt or 1/model.pt2"},
        ReasonCase{"PytorchStreamReader failed\nException raised from x at /pytorch/x.cpp:1 (most recent call first):\n"
                   "frame #0: c10::Error",
                   "PytorchStreamReader failed"},
        ReasonCase{"broken\nC++ CapturedTraceback:\n#4 std::function", "broken"},
        ReasonCase{
            "warm-up failed: The following operation failed in the TorchScript interpreter.\n"
            "Traceback of TorchScript (most recent call last):\n  File \"/home/eve/train.py\", line 3, in forward\n"
            "    return x @ self.w\n           ~~~~~~~~~~ <--- HERE\nRuntimeError: mat1 and mat2 cannot be "
            "multiplied (1x32 and 64x64)\n",
            "warm-up failed: RuntimeError: mat1 and mat2 cannot be multiplied (1x32 and 64x64)"},
        ReasonCase{"two\n  lines\tand\r\nmore", "two lines and more"}));

TEST(FailureReasonLengthTest, LongOnesAreCutBetweenTwoCharacters) {
  std::string umlauts = "x";
  for (int i = 0; i < 1000; ++i) umlauts += "\xC3\xA4";
  const std::string reason = FailureReason(umlauts);
  EXPECT_EQ(reason, umlauts.substr(0, 399) + "...");
}

TEST(WithoutStackTraceTest, KeepsPathsAndLinesForTheLog) {
  EXPECT_EQ(WithoutStackTrace("a /b/c\nd\nframe #0: e"), "a /b/c\nd");
}

}  // namespace
}  // namespace predictd
