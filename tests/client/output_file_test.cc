#include "client/predictctl/output_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

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

// A folder of its own for the test that runs.
std::string NewFolder() {
  std::string folder = ::testing::TempDir() + "predictctl_out_XXXXXX";
  EXPECT_NE(mkdtemp(folder.data()), nullptr);
  return folder;
}

std::vector<std::string> NamesIn(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) names.push_back(entry.path().filename());
  return names;
}

TEST(OutputFileTest, WhatLiesBesideTheFileStays) {
  const std::string folder = NewFolder();
  const std::string path = folder + "/x.npy";
  std::ofstream(path + ".part") << "somebody else's";
  ASSERT_TRUE(SaveOutputs({{"", path}}, {*MakeTensor<float>("x", {1}, {1})}).ok());
  EXPECT_THAT(*TensorValues<float>(ReadBack(path)), ElementsAre(1));
  EXPECT_THAT(NamesIn(folder), ::testing::UnorderedElementsAre("x.npy", "x.npy.part"));
  std::string kept;
  std::getline(std::ifstream(path + ".part"), kept);
  EXPECT_EQ(kept, "somebody else's");
}

TEST(OutputFileTest, SeveralMayWriteTheSameFile) {
  const std::string folder = NewFolder();
  const std::string path = folder + "/x.npy";
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&path, i] {
      const std::vector<float> values(10'000, static_cast<float>(i));
      for (int turn = 0; turn < 20; ++turn) {
        EXPECT_TRUE(SaveOutputs({{"", path}}, {*MakeTensor<float>("x", {10'000}, values)}).ok());
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_THAT(*TensorValues<float>(ReadBack(path)), ::testing::SizeIs(10'000));
  EXPECT_THAT(NamesIn(folder), ElementsAre("x.npy"));
}

TEST(OutputFileTest, TheFileIsAsOthersThatAreMade) {
  const std::string path = NewFolder() + "/x.npy";
  const mode_t mask = umask(0027);
  ASSERT_TRUE(SaveOutputs({{"", path}}, {*MakeTensor<float>("x", {1}, {1})}).ok());
  umask(mask);
  EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms{0640});
}

TEST(OutputFileTest, ALinkStaysOne) {
  const std::string folder = NewFolder();
  std::ofstream(folder + "/real.npy") << "old";
  std::filesystem::create_symlink("real.npy", folder + "/x.npy");
  ASSERT_TRUE(SaveOutputs({{"", folder + "/x.npy"}}, {*MakeTensor<float>("x", {1}, {1})}).ok());
  EXPECT_TRUE(std::filesystem::is_symlink(folder + "/x.npy"));
  EXPECT_THAT(*TensorValues<float>(ReadBack(folder + "/real.npy")), ElementsAre(1));
}

TEST(OutputFileTest, APipeIsWrittenTo) {
  const std::string path = NewFolder() + "/x.npy";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&path] { EXPECT_TRUE(SaveOutputs({{"", path}}, {*MakeTensor<float>("x", {1}, {1})}).ok()); });
  EXPECT_THAT(*TensorValues<float>(ReadBack(path)), ElementsAre(1));
  writer.join();
  EXPECT_TRUE(std::filesystem::is_fifo(path));
}

TEST(OutputFileTest, AFailureLeavesTheOldFileAndNothingElse) {
  const std::string folder = NewFolder();
  const std::string path = folder + "/x.npy";
  std::ofstream(path) << "old";
  rlimit old{};
  getrlimit(RLIMIT_FSIZE, &old);
  const rlimit small{.rlim_cur = 1000, .rlim_max = old.rlim_max};
  const auto handler = signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const absl::Status saved = SaveOutputs({{"", path}}, {*MakeTensor<float>("x", {10'000}, std::vector<float>(10'000))});
  setrlimit(RLIMIT_FSIZE, &old);
  signal(SIGXFSZ, handler);
  EXPECT_THAT(std::string(saved.message()), HasSubstr("File too large"));
  EXPECT_THAT(NamesIn(folder), ElementsAre("x.npy"));
  EXPECT_EQ(std::filesystem::file_size(path), 3);
}

}  // namespace
}  // namespace predictd
