#include "server/model_check.h"

#include <atomic>
#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "server/async/reaper.h"
#include "server/async/work_status.h"
#include "server/async/worker_pool.h"
#include "server/backends.h"
#include "server/config/cpu_limit.h"
#include "server/model/failure_reason.h"
#include "server/model/repository.h"
#include "server/model_resources.h"
#include "server/serving/catalog.h"
#include "server/serving/generator_loading.h"
#include "server/serving/loader.h"
#include "server/serving/model_memory.h"
#include "server/serving/runner_loading.h"
#include "server/torch/threads.h"

namespace predictd {
namespace {

std::string KindOf(const ModelEntry& model) {
  std::vector<int64_t> versions;
  for (const VersionEntry& version : model.versions) versions.push_back(version.version);
  return absl::StrCat("a ", model.config.generator.has_value() ? "generator" : "tensor model", ", version ",
                      absl::StrJoin(versions, ", "));
}

void AddLine(const std::string& line, std::string& lines) {
  absl::StrAppend(&lines, "  ", line, "\n");
}

void DescribeTensors(const char* what, const std::vector<TensorSpec>& specs, std::string& lines) {
  for (const TensorSpec& spec : specs) {
    AddLine(absl::StrCat(what, " ", spec.name, " ", DTypeName(spec.dtype), " ", ShapeName(spec.shape),
                         spec.optional ? ", optional" : ""),
            lines);
  }
}

void Describe(const ModelRunner& runner, const ModelConfig& config, const LoadFindings& findings, std::string& lines) {
  const Signature& signature = runner.signature();
  DescribeTensors("input", signature.inputs, lines);
  DescribeTensors("output", signature.outputs, lines);
  AddLine(absl::StrCat("max_batch_size ", signature.max_batch_size), lines);
  if (!config.warmup) AddLine("it has not run, as warmup = false", lines);
  if (!findings.warm_up.empty()) AddLine(absl::StrCat("warm-up: ", findings.warm_up), lines);
  if (findings.working_bytes > 0) {
    AddLine(absl::StrCat("runs that happen at once take ", BytesName(findings.working_bytes)), lines);
  }
  if (!findings.shortage.empty()) {
    AddLine(
        absl::StrCat("no memory for the ", config.signature.max_batch_size, " rows of model.toml: ", findings.shortage),
        lines);
  }
}

void Describe(const Generator& generator, const GeneratorConfig& config, int64_t cache_bytes, std::string& lines) {
  AddLine(absl::StrCat("vocabulary_size ", config.vocabulary_size, ", max_length ", config.max_length), lines);
  AddLine(
      generator.prompts().chat_template() == nullptr ? "not for chats, as there is no chat_template.json" : "for chats",
      lines);
  const int64_t slots = config.slots + config.prefix_slots;
  AddLine(absl::StrCat("slots ", config.slots, ", prefix_slots ", config.prefix_slots, ": a KV cache of ",
                       BytesName(cache_bytes), " when all are full, ", BytesName(cache_bytes / slots), " each"),
          lines);
}

// Loads the versions of one model as a server does.
class Checker {
 public:
  explicit Checker(const ServerConfig& config)
      : folder_(config.check_model),
        threads_(CountModelThreads(config, FindCpuLimit())),
        unpack_dir_(UnpackDir(config)),
        memory_(PlanMemory(config)),
        gauge_(memory_),
        pool_({.workers = threads_.workers,
               .on_start = [threads = config.intra_op_threads] { InitTorchThread(threads); }}),
        runners_{.pool = pool_,
                 .reaper = reaper_,
                 .clock = clock_,
                 .memory = memory_,
                 .load = [this](const ServedVersion& version) { return LoadModel(version, threads_, unpack_dir_); },
                 .gauge = &gauge_},
        generators_{.pool = pool_,
                    .reaper = reaper_,
                    .intra_op_threads = config.intra_op_threads,
                    .clock = clock_,
                    .memory = memory_,
                    .backends = Backends(),
                    .observer = [](const ServedVersion&) { return nullptr; }} {
    InitTorchThread(config.intra_op_threads);
  }
  // The pool lets go of models before the reaper is gone.
  ~Checker() { pool_.Stop(); }
  Checker(const Checker&) = delete;
  Checker& operator=(const Checker&) = delete;

  // Null if the model wants none.
  std::shared_ptr<ResponseCache> MakeCache(const ModelConfig& config) const {
    if (config.response_cache_bytes == 0) return nullptr;
    const ResponseCache::Options options = {.capacity_bytes = static_cast<size_t>(config.response_cache_bytes)};
    return std::make_shared<ResponseCache>(options, clock_);
  }

  // Adds what a server would say of the version.
  void Check(ServedVersion& version, ModelCheck& check) {
    const TimePoint started = clock_.Now();
    const int64_t caches = memory_.caches();
    LoadFindings findings;
    absl::Status status;
    try {
      status = Load(version, findings);
    } catch (...) {
      status = StatusOfException();
    }
    if (!status.ok()) {
      // Those of folders say by themselves which version they are about.
      const std::string about = version.entry().status.ok() ? absl::StrCat("version ", version.number(), ": ") : "";
      absl::StrAppend(&check.wrong, folder_, ": ", about, WithoutStackTrace(status.message()), "\n");
      return;
    }
    const std::chrono::duration<double> took = clock_.Now() - started;
    absl::StrAppend(&check.found, "version ", version.number(), ": ", version.entry().backend->format, " of ",
                    BytesName(WeightBytes(version.entry().file)), ", ready after ",
                    absl::StrFormat("%.2g s", took.count()), "\n");
    if (const ModelRunner* const runner = version.runner()) Describe(*runner, version.config(), findings, check.found);
    if (const Generator* const generator = version.generator()) {
      Describe(*generator, *version.config().generator, memory_.caches() - caches, check.found);
    }
    if (!findings.note.empty()) AddLine(absl::StrCat("note: ", findings.note), check.found);
  }

 private:
  absl::Status Load(ServedVersion& version, LoadFindings& findings) {
    if (!version.entry().status.ok()) return version.entry().status;
    const std::atomic<bool> stopping{false};
    if (version.config().generator.has_value()) {
      auto generator = LoadGenerator(version, generators_, stopping);
      if (!generator.ok()) return generator.status();
      version.SetReady(*std::move(generator));
      return absl::OkStatus();
    }
    auto runner = LoadRunner(version, runners_, stopping, findings);
    if (!runner.ok()) return runner.status();
    version.SetReady(*std::move(runner));
    return absl::OkStatus();
  }

  const std::string folder_;
  const ModelThreads threads_;
  const std::string unpack_dir_;
  const SteadyClock clock_;
  MemoryPlan memory_;
  ModelMemory gauge_;
  WorkerPool pool_;
  Reaper reaper_;
  const RunnerResources runners_;
  const GeneratorResources generators_;
};

}  // namespace

absl::StatusOr<std::string> CheckModelFiles(const std::filesystem::path& folder) {
  const ModelEntry model = ReadModelFolder(folder, Backends());
  if (!model.status.ok()) return model.status;
  for (const VersionEntry& version : model.versions) {
    absl::Status status = version.status;
    if (status.ok() && model.config.generator.has_value()) status = LoadGeneratorText(version, Backends()).status();
    if (!status.ok()) {
      return absl::Status(status.code(), absl::StrCat("version ", version.version, ": ", status.message()));
    }
  }
  return KindOf(model);
}

ModelCheck CheckModel(const ServerConfig& config) {
  const std::string& folder = config.check_model;
  const ModelEntry model = ReadModelFolder(folder, Backends());
  if (!model.status.ok()) return {.wrong = absl::StrCat(folder, ": ", model.status.message(), "\n")};
  ModelCheck check = {.found = absl::StrCat(folder, ": ", KindOf(model), "\n")};
  for (const std::string& odd : model.odd_versions) {
    AddLine(absl::StrCat("the folder ", odd, " is no version: those are named 1, 2, ... without leading zeros"),
            check.found);
  }
  LimitTorchThreads(FindCpuLimit().cores);
  Checker checker(config);
  const auto shared = std::make_shared<const ModelConfig>(model.config);
  // All of them are loaded at the same time in a server, too.
  std::vector<std::unique_ptr<ServedVersion>> versions;
  for (const VersionEntry& entry : model.versions) {
    versions.push_back(std::make_unique<ServedVersion>(ServedVersion::Spec{
        .model = model.name, .entry = entry, .config = shared, .cache = checker.MakeCache(*shared)}));
    checker.Check(*versions.back(), check);
  }
  return check;
}

}  // namespace predictd
