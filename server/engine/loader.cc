#include "server/engine/loader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <future>
#include <utility>

namespace predictd {
namespace {

// TorchScript's profiling executor needs two runs of a shape before it has its final code; compiled models have it.
int WarmUpRounds(Backend backend) {
  return backend == Backend::kTorchScript ? 3 : 1;
}

// Loading gives way to serving.
constexpr int kNiceness = 10;

}  // namespace

Loader::Loader(Catalog& catalog, WorkerPool& pool, LoadFunction load, RunnerFactory make_runner,
               GeneratorFactory make_generator, Observer observer)
    : catalog_(catalog),
      pool_(pool),
      load_(std::move(load)),
      make_runner_(std::move(make_runner)),
      make_generator_(std::move(make_generator)),
      observer_(std::move(observer)),
      thread_(&Loader::Run, this) {}

Loader::~Loader() {
  stopping_ = true;
  thread_.join();
}

void Loader::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  for (const auto& [name, model] : catalog_.models()) {
    for (const auto& version : model.versions()) {
      if (stopping_) return;
      const absl::Status status = Bring(model, *version);
      if (!status.ok()) version->SetFailed("the cause is in the server's log");
      observer_(model, *version, status);
    }
  }
}

absl::Status Loader::Bring(const ServedModel& model, ServedVersion& version) {
  if (model.config().generator.has_value()) {
    absl::StatusOr<std::shared_ptr<Generator>> generator = make_generator_(model, version);
    if (!generator.ok()) return generator.status();
    version.SetReady(nullptr, *std::move(generator));
    return absl::OkStatus();
  }
  absl::StatusOr<std::shared_ptr<ModelRunner>> runner = Load(model, version);
  if (!runner.ok()) return runner.status();
  version.SetReady(*std::move(runner));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ModelRunner>> Loader::Load(const ServedModel& model, const ServedVersion& version) {
  absl::StatusOr<std::unique_ptr<Model>> loaded = load_(version.entry(), model.config().signature);
  if (!loaded.ok()) return loaded.status();
  std::shared_ptr<ModelRunner> runner = make_runner_(model, version, *std::move(loaded));
  if (!model.config().warmup) return runner;
  const int rounds = WarmUpRounds(version.entry().backend);
  if (absl::Status status = WarmUp(*runner, {.rounds = rounds}); !status.ok()) return status;
  return runner;
}

absl::Status Loader::WarmUp(ModelRunner& runner, const WarmUpOptions& options) {
  // One worker after the other, so that the rest go on serving.
  for (int worker = 0; worker < pool_.workers(); ++worker) {
    std::promise<absl::Status> promise;
    std::future<absl::Status> done = promise.get_future();
    pool_.RunOn(worker, [&promise, &runner, &options] { promise.set_value(runner.WarmUp(options)); });
    if (absl::Status status = done.get(); !status.ok()) {
      return absl::Status(status.code(), "warm-up on zeros failed (warmup = false in model.toml skips it): " +
                                             std::string(status.message()));
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
