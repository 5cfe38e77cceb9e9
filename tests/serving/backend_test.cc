// A backend that the server does not have, from its file in a model repository to an answer.
#include "server/model/backend.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "server/model/repository.h"
#include "server/serving/catalog.h"
#include "server/serving/loader.h"
#include "server/serving/runner_loading.h"
#include "tests/engine/runner_fixture.h"
#include "tests/fakes/doubling_backend.h"
#include "tests/fakes/fake_backends.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

// All that the server needs to know of it.
const Backend kBackends[] = {kFakeScripts, kDoubling};

// Scans a repository and loads what is in it, as the server does.
class BackendTest : public testing::Test {
 protected:
  void SetUp() override {
    root_.Write("m/model.toml", std::string(kDoublingConfig) + "version_policy = \"all\"\n");
    doubled_batches = 0;
  }
  void TearDown() override { pool_.Stop(); }

  void Load() {
    const absl::StatusOr<ModelRepository> repository = ScanRepository(root_.path(), kBackends);
    ASSERT_TRUE(repository.ok()) << repository.status();
    catalog_ = std::make_unique<Catalog>(repository->models, reaper_);
    const auto models = catalog_->snapshot();
    Mutex mutex;
    CondVar changed;
    bool loaded = false;
    Loader loader([this](ServedVersion& version, const std::atomic<bool>& stopping, LoadFindings& findings)
                      -> absl::StatusOr<Servable> { return LoadRunner(version, resources_, stopping, findings); },
                  [&](const ServedVersion&, const absl::Status&, const LoadFindings&) {
                    MutexLock lock(mutex);
                    loaded = !models->loading();
                    changed.NotifyAll();
                  },
                  reaper_);
    for (const auto& version : models->models().at("m")->versions()) {
      if (version->state() == VersionState::kLoading) loader.Load(version);
    }
    MutexLock lock(mutex);
    while (!loaded) changed.Wait(mutex);
  }

  const ServedVersion& Version(size_t index) { return *catalog_->snapshot()->models().at("m")->versions()[index]; }

  const TempFolder root_;
  const ManualClock clock_;
  MemoryPlan memory_{int64_t{1} << 40, 0};
  WorkerPool pool_{{.workers = 2}};
  Reaper reaper_;
  const RunnerResources resources_ = {
      .pool = pool_, .reaper = reaper_, .clock = clock_, .memory = memory_, .load = [](const ServedVersion& version) {
        return version.entry().backend->load(version.entry().file, version.config(), {});
      }};
  std::unique_ptr<Catalog> catalog_;
};

TEST_F(BackendTest, RunsTheModelsWhoseFileIsItsOwn) {
  root_.Write("m/1/model.double", "1");
  root_.Write("m/2/model.double", "3");
  Load();
  ASSERT_EQ(Version(0).state(), VersionState::kReady) << Version(0).reason();
  ASSERT_EQ(Version(1).state(), VersionState::kReady) << Version(1).reason();
  EXPECT_EQ(Version(0).entry().backend->name, "doubling");
  const PendingInference newest(*Version(0).runner(), OneRow(1.5F));
  EXPECT_EQ(Values(newest.Await()->outputs[0]), std::vector<float>{12});
  const PendingInference oldest(*Version(1).runner(), OneRow(1.5F));
  EXPECT_EQ(Values(oldest.Await()->outputs[0]), std::vector<float>{3});
}

TEST_F(BackendTest, SaysHowOftenABatchRunsInTheWarmUp) {
  root_.Write("m/1/model.double", "1");
  Load();
  ASSERT_EQ(Version(0).state(), VersionState::kReady) << Version(0).reason();
  // Each of the two workers runs one row five times. Four more runs show whether answers are the request's own.
  EXPECT_EQ(doubled_batches, 2 * 5 + 4);
}

TEST_F(BackendTest, FailsTheVersionsWhoseFileItRefuses) {
  root_.Write("m/1/model.double", "1");
  root_.Write("m/2/model.double", "often");
  root_.Write("m/3/model.pt2", "1");
  Load();
  EXPECT_EQ(Version(0).reason(), "version 3: expected either model.pt or model.double, found neither");
  EXPECT_EQ(Version(1).reason(), "the file holds no number");
  EXPECT_EQ(Version(2).state(), VersionState::kReady) << Version(2).reason();
}

}  // namespace
}  // namespace predictd
