#include "server/engine/loader.h"

#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <exception>
#include <future>
#include <new>
#include <utility>

#include "server/engine/inference.h"

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

bool Loader::StopBy(TimePoint when) {
  stopping_ = true;
  MutexLock lock(mutex_);
  while (!ended_) {
    if (std::chrono::steady_clock::now() >= when) return false;
    ended_changed_.WaitUntil(mutex_, when);
  }
  return true;
}

void Loader::Run() {
  setpriority(PRIO_PROCESS, static_cast<id_t>(gettid()), kNiceness);
  LoadAll();
  MutexLock lock(mutex_);
  ended_ = true;
  ended_changed_.NotifyAll();
}

void Loader::LoadAll() {
  for (const auto& [name, model] : catalog_.models()) {
    for (const auto& version : model.versions()) {
      if (stopping_) return;
      std::string note;
      absl::Status status;
      try {
        status = Bring(model, *version, note);
      } catch (...) {
        // A model that does not fit into the memory must not end the others.
        status = StatusOfException();
      }
      if (stopping_ && absl::IsCancelled(status)) return;
      try {
        if (!status.ok()) version->SetFailed("the cause is in the server's log");
        observer_(model, *version, status, note);
      } catch (const std::bad_alloc&) {
        if (version->state() == VersionState::kLoading) version->SetFailed("");
      }
    }
  }
}

absl::Status Loader::Bring(const ServedModel& model, ServedVersion& version, std::string& note) {
  if (model.config().generator.has_value()) {
    absl::StatusOr<std::shared_ptr<Generator>> generator = make_generator_(model, version, stopping_);
    if (!generator.ok()) return generator.status();
    version.SetReady(nullptr, *std::move(generator));
    return absl::OkStatus();
  }
  absl::StatusOr<std::shared_ptr<ModelRunner>> runner = Load(model, version, note);
  if (!runner.ok()) return runner.status();
  version.SetReady(*std::move(runner));
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<ModelRunner>> Loader::Load(const ServedModel& model, const ServedVersion& version,
                                                          std::string& note) {
  absl::StatusOr<std::unique_ptr<Model>> loaded = load_(version.entry(), model.config());
  if (!loaded.ok()) return loaded.status();
  std::shared_ptr<ModelRunner> runner = make_runner_(model, version, *std::move(loaded));
  if (!model.config().warmup) return runner;
  const WarmUpOptions options = {.rounds = WarmUpRounds(version.entry().backend), .stopping = &stopping_};
  if (absl::Status status = WarmUp(*runner, options, note); !status.ok()) return status;
  return runner;
}

absl::Status Loader::WarmUp(ModelRunner& runner, const WarmUpOptions& options, std::string& note) {
  // One worker after the other, so that the rest go on serving.
  for (int worker = 0; worker < pool_.workers(); ++worker) {
    std::promise<absl::StatusOr<WarmUpReport>> promise;
    std::future<absl::StatusOr<WarmUpReport>> done = promise.get_future();
    pool_.RunOn(worker, [&promise, &runner, &options] {
      try {
        promise.set_value(runner.WarmUp(options));
      } catch (...) {
        promise.set_exception(std::current_exception());
      }
    });
    const absl::StatusOr<WarmUpReport> report = done.get();
    if (absl::IsCancelled(report.status())) return report.status();
    if (!report.ok()) {
      return absl::Status(report.status().code(), "warm-up on zeros failed (warmup = false in model.toml skips it): " +
                                                      std::string(report.status().message()));
    }
    if (report->left_out > 0) {
      note = "its largest batches would have taken the warm-up too long: nobody has run them yet";
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
