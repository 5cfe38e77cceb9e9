#include "server/model/repository.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/fake_backends.h"
#include "tests/fakes/npy_file.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

constexpr char kConfig[] = R"(
inputs = [{name = "x", dtype = "FP32", shape = [-1, 4]}]
outputs = [{name = "y", dtype = "FP32", shape = [-1]}]
)";

class RepositoryTest : public testing::Test {
 protected:
  // Adds a model folder with these files beside its model.toml.
  void AddModel(const std::string& name, const std::vector<std::string>& files, const std::string& keys = "") {
    root_.Write(name + "/model.toml", keys + "\n" + kConfig);
    for (const std::string& file : files) root_.Write(absl::StrCat(name, "/", file), "not read here");
  }

  ModelEntry ScanOne() {
    const auto models = ScanRepository(root_.path(), kFakeBackends);
    EXPECT_TRUE(models.ok()) << models.status();
    EXPECT_EQ(models->models.size(), 1U);
    return models->models.front();
  }

  const TempFolder root_;
};

TEST_F(RepositoryTest, FindsTheModelFileOfEachKind) {
  AddModel("m", {"1/model.pt", "2/model.pt2"}, "version_policy = \"all\"");
  const ModelEntry model = ScanOne();
  ASSERT_TRUE(model.status.ok()) << model.status;
  EXPECT_EQ(model.name, "m");
  ASSERT_EQ(model.versions.size(), 2U);
  EXPECT_EQ(model.versions[0].version, 2);
  EXPECT_EQ(model.versions[0].backend, &kFakePackages);
  EXPECT_EQ(model.versions[0].file, root_.path() / "m/2/model.pt2");
  EXPECT_EQ(model.versions[1].version, 1);
  EXPECT_EQ(model.versions[1].backend, &kFakeScripts);
  EXPECT_EQ(model.versions[1].file, root_.path() / "m/1/model.pt");
}

TEST_F(RepositoryTest, ServesTheLatestVersionByNumberNotByName) {
  AddModel("m", {"9/model.pt", "10/model.pt"});
  const ModelEntry model = ScanOne();
  ASSERT_EQ(model.versions.size(), 1U);
  EXPECT_EQ(model.versions[0].version, 10);
}

TEST_F(RepositoryTest, ModelsAreSortedByName) {
  AddModel("b", {"1/model.pt"});
  AddModel("a", {"1/model.pt"});
  AddModel("c", {"1/model.pt"});
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok());
  ASSERT_EQ(models->models.size(), 3U);
  EXPECT_EQ(models->models[0].name, "a");
  EXPECT_EQ(models->models[2].name, "c");
}

TEST_F(RepositoryTest, WhatIsNoVersionFolderIsPassedOver) {
  AddModel("m",
           {"1/model.pt", "01/model.pt", "0/model.pt", "-1/model.pt", "+2/model.pt", "v3/model.pt", "4x/model.pt",
            "99999999999999999999/model.pt", "notes/readme", "5"},
           "version_policy = \"all\"");
  const ModelEntry model = ScanOne();
  ASSERT_TRUE(model.status.ok()) << model.status;
  ASSERT_EQ(model.versions.size(), 1U);
  EXPECT_EQ(model.versions[0].version, 1);
  EXPECT_EQ(model.odd_versions, (std::vector<std::string>{"+2", "-1", "0", "01", "99999999999999999999", "v3"}))
      << "what may have been meant as one";
}

TEST_F(RepositoryTest, FoldersWithoutAConfigurationAreNoModelsAndNamed) {
  AddModel("m", {"1/model.pt"});
  root_.Write("scripts/1/model.pt", "");
  root_.Write("b/x", "");
  std::filesystem::create_directory_symlink("b", root_.path() / "link");
  EXPECT_EQ(ScanOne().name, "m");
  EXPECT_EQ(ScanRepository(root_.path(), kFakeBackends)->without_config,
            (std::vector<std::string>{"b", "link", "scripts"}));
  EXPECT_FALSE(ScanRepository(root_.path(), kFakeBackends)->has_config);
}

TEST_F(RepositoryTest, FilesAndFoldersOfTheSystemArePassedOverWithoutAWord) {
  AddModel("m", {"1/model.pt"});
  root_.Write("README.md", "");
  root_.Write("lost+found/x", "");
  root_.Write(".git/config", "");
  EXPECT_EQ(ScanOne().name, "m");
  EXPECT_TRUE(ScanRepository(root_.path(), kFakeBackends)->without_config.empty());
}

TEST_F(RepositoryTest, FolderOfOneModelIsToldFromOneOfModels) {
  AddModel("m", {"1/model.pt", "2/model.pt"});
  const auto model = ScanRepository(root_.path() / "m", kFakeBackends);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_TRUE(model->has_config);
  EXPECT_TRUE(model->models.empty());
}

TEST_F(RepositoryTest, VersionWithAWrongFolderFailsAlone) {
  AddModel("m", {"1/model.pt", "2/upload.part", "3/model.pt2"}, "version_policy = \"all\"");
  const ModelEntry model = ScanOne();
  ASSERT_TRUE(model.status.ok()) << model.status;
  ASSERT_EQ(model.versions.size(), 3U);
  EXPECT_TRUE(model.versions[0].status.ok());
  EXPECT_EQ(model.versions[1].version, 2);
  EXPECT_FALSE(model.versions[1].status.ok());
  EXPECT_TRUE(model.versions[2].status.ok());
}

TEST_F(RepositoryTest, EmptyRepositoryHasNoModels) {
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok());
  EXPECT_TRUE(models->models.empty());
}

TEST_F(RepositoryTest, MissingRepositoryIsNotFoundAndNamed) {
  const auto models = ScanRepository(root_.path() / "missing", kFakeBackends);
  EXPECT_EQ(models.status(), absl::NotFoundError("the model repository '" + (root_.path() / "missing").string() +
                                                 "' cannot be read: No such file or directory"));
}

TEST_F(RepositoryTest, FileInPlaceOfTheRepositoryIsAnError) {
  root_.Write("file", "");
  EXPECT_EQ(ScanRepository(root_.path() / "file", kFakeBackends).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(RepositoryTest, PipesInPlaceOfFilesAreErrorsAndNotWaitedFor) {
  AddModel("a", {"1/model.pt"});
  std::filesystem::create_directories(root_.path() / "b");
  ASSERT_EQ(mkfifo((root_.path() / "b/model.toml").c_str(), 0600), 0);
  AddModel("c", {"1/notes"});
  ASSERT_EQ(mkfifo((root_.path() / "c/1/model.pt").c_str(), 0600), 0);
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->models.size(), 3U);
  EXPECT_TRUE(models->models[0].status.ok());
  EXPECT_EQ(models->models[1].status.message(), "model.toml: cannot be read: it is not a regular file");
  EXPECT_EQ(models->models[2].versions[0].status.message(),
            "version 1: model.pt: cannot be read: it is not a regular file");
}

TEST_F(RepositoryTest, LinksToNothingAreFailedModelsAndVersions) {
  std::filesystem::create_symlink("gone", root_.path() / "a");
  AddModel("b", {"1/model.pt"});
  std::filesystem::create_symlink("gone", root_.path() / "b/2");
  std::filesystem::create_directories(root_.path() / "c");
  std::filesystem::create_symlink("gone", root_.path() / "c/model.toml");
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok()) << models.status();
  ASSERT_EQ(models->models.size(), 3U);
  EXPECT_EQ(models->models[0].status.message(), "a: cannot be read: No such file or directory");
  EXPECT_EQ(models->models[1].versions[0].status.message(),
            "version 2: expected either model.pt or model.pt2, found neither");
  EXPECT_EQ(models->models[2].status.message(), "model.toml: cannot be read: No such file or directory");
}

TEST_F(RepositoryTest, BrokenModelsAreReturnedWithTheirErrorsBesideTheGoodOne) {
  AddModel("good", {"1/model.pt"});
  AddModel("both", {"1/model.pt", "1/model.pt2"});
  AddModel("neither", {"1/weights.bin"});
  AddModel("no_version", {"readme"});
  AddModel("unknown_key", {"1/model.pt"}, "colour = \"blue\"");
  AddModel("listed", {"1/model.pt"}, "version_policy = [1, 7]");
  root_.Write("bad_toml/model.toml", "= 3");
  root_.Write("bad_toml/1/model.pt", "");
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok()) << models.status();
  std::map<std::string, ModelEntry> by_name;
  for (const ModelEntry& model : models->models) by_name[model.name] = model;
  ASSERT_EQ(by_name.size(), 7U);

  EXPECT_TRUE(by_name["good"].status.ok());
  ASSERT_EQ(by_name["both"].versions.size(), 1U);
  EXPECT_EQ(by_name["both"].versions[0].status,
            absl::InvalidArgumentError("version 1: expected either model.pt or model.pt2, found both"));
  ASSERT_EQ(by_name["neither"].versions.size(), 1U);
  EXPECT_EQ(by_name["neither"].versions[0].status,
            absl::InvalidArgumentError("version 1: expected either model.pt or model.pt2, found neither"));
  EXPECT_EQ(by_name["no_version"].status, absl::NotFoundError("there is no version folder (a folder named 1, 2, ...)"));
  EXPECT_EQ(by_name["listed"].status, absl::NotFoundError("version_policy lists version 7, which has no folder"));
  EXPECT_EQ(by_name["unknown_key"].status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(by_name["unknown_key"].status.message().substr(0, 32), "model.toml: colour: unknown key;");
  EXPECT_EQ(by_name["bad_toml"].status.message().substr(0, 19), "model.toml: line 1:");
  for (const auto& [name, model] : by_name) EXPECT_EQ(model.versions.empty(), !model.status.ok()) << name;
}

// Only versions that are served have to be complete.
TEST_F(RepositoryTest, VersionThatIsNotServedMayBeIncomplete) {
  AddModel("m", {"1/upload.part", "2/model.pt"});
  const ModelEntry model = ScanOne();
  ASSERT_TRUE(model.status.ok()) << model.status;
  EXPECT_EQ(model.versions[0].version, 2);
}

TEST_F(RepositoryTest, LinksToModelsAndVersionsAreFollowed) {
  AddModel("real", {"1/model.pt"});
  std::filesystem::create_directory_symlink(root_.path() / "real", root_.path() / "alias");
  std::filesystem::create_directory_symlink(root_.path() / "real/1", root_.path() / "real/2");
  const auto models = ScanRepository(root_.path(), kFakeBackends);
  ASSERT_TRUE(models.ok());
  ASSERT_EQ(models->models.size(), 2U);
  for (const ModelEntry& model : models->models) {
    ASSERT_TRUE(model.status.ok()) << model.status;
    EXPECT_EQ(model.versions[0].version, 2);
  }
}

TEST_F(RepositoryTest, VersionHasTheFileOfOneBackendHoweverManyThereAre) {
  AddModel("m", {"1/model.c", "2/notes", "3/model.a", "3/model.c"}, "version_policy = \"all\"");
  const Backend backends[] = {{.file_name = "model.a"}, {.file_name = "model.b"}, {.file_name = "model.c"}};
  const auto models = ScanRepository(root_.path(), backends);
  ASSERT_TRUE(models.ok()) << models.status();
  const std::vector<VersionEntry>& versions = models->models.at(0).versions;
  ASSERT_EQ(versions.size(), 3U);
  EXPECT_EQ(versions[0].status,
            absl::InvalidArgumentError(
                "version 3: expected either model.a or model.b or model.c, found model.a and model.c"));
  EXPECT_EQ(versions[1].status,
            absl::InvalidArgumentError("version 2: expected either model.a or model.b or model.c, found none"));
  EXPECT_EQ(versions[2].backend, &backends[2]);
}

// What a version's warm-up runs on is a part of it.
TEST_F(RepositoryTest, StampChangesWithTheFilesOfTheWarmUp) {
  AddModel("m", {"1/model.pt"});
  root_.Write("m/warmup/x.npy", NpyArray<float>("<f4", "(1, 4)", {1, 2, 3, 4}));
  const uint64_t without = ScanOne().versions.at(0).stamp;
  root_.Write("m/warmup/unused.npy", "not read");
  EXPECT_EQ(ScanOne().versions.at(0).stamp, without) << "nothing names it";
  root_.Write("m/model.toml", absl::StrCat(kConfig, "[[warmup_samples]]\ninputs.x = {file = \"x.npy\"}\n"));
  const ModelEntry before = ScanOne();
  ASSERT_TRUE(before.status.ok()) << before.status;
  root_.Write("m/warmup/x.npy", NpyArray<float>("<f4", "(2, 4)", {1, 2, 3, 4, 5, 6, 7, 8}));
  EXPECT_NE(StampModel(root_.path() / "m"), before.stamp) << "or nobody would look";
  const ModelEntry after = ScanOne();
  EXPECT_NE(after.versions.at(0).stamp, before.versions.at(0).stamp);
  EXPECT_EQ(after.config.signature.warmup_samples.at(0).at(0).array->shape(), (Shape{2, 4}));
  EXPECT_EQ(ScanOne().versions.at(0).stamp, after.versions.at(0).stamp);
}

}  // namespace
}  // namespace predictd
