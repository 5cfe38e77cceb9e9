#include "server/model/missing_operator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace predictd {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string Explained(const char* message) {
  return std::string(ExplainMissingOperator(absl::InternalError(message)).message());
}

TEST(MissingOperatorTest, IsNamedWithTheOption) {
  EXPECT_THAT(Explained("\nUnknown builtin op: hunt::twice.\nCould not find any similar ops to hunt::twice."),
              AllOf(HasSubstr("the operator hunt::twice,"), HasSubstr("--operator-library")));
  EXPECT_THAT(Explained("Could not find schema for hunt::twice.out. (more)"), HasSubstr("operator hunt::twice.out,"));
  EXPECT_THAT(Explained("Error in dlopen: /x/m.so: undefined symbol: _Z3foov"), HasSubstr("function _Z3foov,"));
  EXPECT_THAT(Explained("Unknown type name '__torch__.torch.classes.hunt.Table':"), HasSubstr("class hunt.Table,"));
}

TEST(MissingOperatorTest, OtherErrorsStay) {
  const absl::Status status = absl::InternalError("something else");
  EXPECT_EQ(ExplainMissingOperator(status), status);
}

}  // namespace
}  // namespace predictd
