#include "client/predictctl/closest_name.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(ClosestNameTest, FindsWhatWasMeant) {
  const std::vector<std::string> names = {"models", "model", "predict", "stream", "generate", "chat"};
  EXPECT_EQ(ClosestName("modles", names), "models");
  EXPECT_EQ(ClosestName("Predict", names), "predict");
  EXPECT_EQ(ClosestName("gen", names), "generate");
  EXPECT_EQ(ClosestName("streams", names), "stream");
  EXPECT_EQ(ClosestName("explain", names), "");
  EXPECT_EQ(ClosestName("x", names), "");
  EXPECT_EQ(ClosestName(std::string(1000, 'm'), names), "");
  EXPECT_EQ(ClosestName("--n", {"--n"}), "--n");
}

}  // namespace
}  // namespace predictd
