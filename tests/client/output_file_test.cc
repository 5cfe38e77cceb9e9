#include "client/predictctl/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "client/predictctl/npy.h"
#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

v1::Tensor ReadBack(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return *ParseNpy(std::string(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()));
}

TEST(OutputFileTest, NamesAreToldFromPaths) {
  EXPECT_EQ(ParseOutputFile("y=a.npy")->output, "y");
  EXPECT_EQ(ParseOutputFile("y=a.npy")->path, "a.npy");
  EXPECT_EQ(ParseOutputFile("a.npy")->output, "");
  EXPECT_EQ(ParseOutputFile("/tmp/a=b.npy")->path, "/tmp/a=b.npy");
  EXPECT_TRUE(absl::IsInvalidArgument(ParseOutputFile("a.txt").status()));
}

TEST(OutputFileTest, SavesTheOutputsThatWereChosen) {
  const std::string x = ::testing::TempDir() + "predictctl_x.npy";
  const std::string y = ::testing::TempDir() + "predictctl_y.npy";
  const std::vector<v1::Tensor> outputs = {*MakeTensor<float>("x", {1}, {1}), *MakeTensor<float>("y", {1}, {2})};
  ASSERT_TRUE(SaveOutputs({{"y", y}, {"x", x}}, outputs).ok());
  EXPECT_THAT(*TensorValues<float>(ReadBack(x)), ElementsAre(1));
  EXPECT_THAT(*TensorValues<float>(ReadBack(y)), ElementsAre(2));
  ASSERT_TRUE(SaveOutputs({{"", x}}, {outputs[1]}).ok());
  EXPECT_THAT(*TensorValues<float>(ReadBack(x)), ElementsAre(2));
}

TEST(OutputFileTest, FailuresNameTheFile) {
  const std::vector<v1::Tensor> outputs = {*MakeTensor<float>("x", {1}, {1}), *MakeBytesTensor("t", {1}, {"a"})};
  const auto message_for = [&](const OutputFile& file) { return std::string(SaveOutputs({file}, outputs).message()); };
  EXPECT_THAT(message_for({"", "a.npy"}), HasSubstr("outputs 'x', 't': say which one"));
  EXPECT_THAT(message_for({"z", "a.npy"}), HasSubstr("no output 'z'"));
  EXPECT_THAT(message_for({"t", "a.npy"}), HasSubstr("'t' is BYTES"));
  EXPECT_THAT(message_for({"x", "/nonexistent/a.npy"}), HasSubstr("cannot save '/nonexistent/a.npy': No such file"));
}

}  // namespace
}  // namespace predictd
