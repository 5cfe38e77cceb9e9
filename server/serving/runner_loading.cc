#include "server/serving/runner_loading.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/time.h"
#include "server/async/run_on_worker.h"

namespace predictd {
namespace {

void AddNote(const std::string& part, std::string& note) {
  if (note.find(part) != std::string::npos) return;
  note += (note.empty() ? "" : "; ") + part;
}

// Notes what the model's code reveals about its answers.
void NoteCaveats(const Caveats& caveats, std::string& note) {
  if (!caveats.state.empty()) {
    AddNote("answers depend on earlier requests, so one batch runs at a time: " + caveats.state, note);
  }
  if (!caveats.chance.empty()) AddNote("answers are random: " + caveats.chance, note);
}

// "1 row 0.21 ms, 2 rows 0.40 ms, ...", or with lengths "4 rows of 128 3.1 ms", with samples "1 row of sample 0 2 ms".
std::string Describe(const WarmUpReport& report) {
  std::string text;
  if (report.open_extent > 1) text = absl::StrCat("open dimensions of ", report.open_extent, ": ");
  const auto is_another = [](const WarmUpRun& run) { return run.sample.value_or(0) > 0; };
  const bool several = std::any_of(report.runs.begin(), report.runs.end(), is_another);
  const char* comma = "";
  for (const WarmUpRun& run : report.runs) {
    absl::StrAppend(&text, comma, run.rows, run.rows == 1 ? " row" : " rows", run.lengths.empty() ? "" : " of ",
                    absl::StrJoin(run.lengths, "x"), several ? absl::StrCat(" of sample ", *run.sample) : "", " ",
                    absl::StrFormat("%.3g ms", std::chrono::duration<double, std::milli>(run.took).count()));
    comma = ", ";
  }
  return text;
}

// What a runner uses until it is gone.
struct RunnerParts {
  std::unique_ptr<MemoryPlan::Claim> memory;
  std::shared_ptr<RunnerObserver> observer;
};

std::shared_ptr<ModelRunner> MakeRunner(const ServedVersion& version, std::unique_ptr<Model> model,
                                        std::shared_ptr<RunnerParts> parts, const RunnerResources& resources) {
  const ModelConfig& config = version.config();
  const bool one_at_a_time = !model->caveats().state.empty();
  const ModelRunner::Options options = {
      .queue = {.capacity = static_cast<size_t>(config.queue_capacity),
                .capacity_bytes = config.queue_bytes,
                .max_delay = absl::ToChronoNanoseconds(config.max_queue_delay),
                .preferred_rows = config.preferred_batch_sizes},
      .share = {.weight = config.weight,
                .max_concurrency = one_at_a_time ? 1 : static_cast<int>(config.max_concurrency)},
      .observer = parts->observer.get(),
      .loop_bound = resources.loop_bound};
  Signature signature = config.signature;
  signature.limits = model->input_limits();
  return resources.reaper.Own(
      std::make_unique<ModelRunner>(std::move(model), std::move(signature), options, resources.pool, resources.clock),
      std::move(parts));
}

absl::Status WarmUpOn(int worker, ModelRunner& runner, WarmUpOptions options, WorkerPool& pool,
                      LoadFindings& findings) {
  options.run = [&pool, worker](const std::function<void()>& run) { RunOnWorker(pool, worker, run); };
  const absl::StatusOr<WarmUpReport> warm = runner.WarmUp(options);
  if (absl::IsCancelled(warm.status())) return warm.status();
  if (!warm.ok()) {
    const bool zeros = runner.signature().warmup_samples.empty() && !absl::IsResourceExhausted(warm.status());
    const char* const advice = zeros ? "; it runs on zeros, so if the model wants something else, say so with "
                                       "[[warmup_samples]] in model.toml, or skip it with warmup = false"
                                     : "";
    return absl::Status(warm.status().code(), absl::StrCat("warm-up failed: ", warm.status().message(), advice));
  }
  if (worker == 0) findings.warm_up = Describe(*warm);
  if (!warm->shortage.empty()) findings.shortage = warm->shortage;
  findings.working_bytes = std::max(findings.working_bytes, options.concurrency * warm->peak_bytes);
  if (warm->left_out > 0) {
    AddNote("its largest batches have not been run yet: the warm-up would have taken too long", findings.note);
  }
  return absl::OkStatus();
}

// Warms the runner up, and adds what its answers reveal to `caveats`.
absl::Status WarmUp(const ServedVersion& version, ModelRunner& runner, const RunnerResources& resources,
                    const std::atomic<bool>& stopping, std::string& caveats, LoadFindings& findings) {
  WorkerPool& pool = resources.pool;
  const int64_t limit = version.config().max_concurrency;
  WarmUpOptions options = {
      .rounds = version.entry().backend->warm_up_rounds,
      .stopping = &stopping,
      .memory = resources.gauge,
      .concurrency = static_cast<int>(limit == 0 ? pool.workers() : std::min<int64_t>(limit, pool.workers()))};
  if (resources.gauge != nullptr) options.memory_left = resources.gauge->Left();
  // One worker after the other, so that the others continue to serve.
  for (int worker = 0; worker < pool.workers(); ++worker) {
    absl::Status status = WarmUpOn(worker, runner, options, pool, findings);
    if (!status.ok()) return status;
  }
  if (!caveats.empty() || stopping) return absl::OkStatus();
  const AnswerCheck check = RunOnWorker(pool, 0, [&runner] { return runner.CheckAnswers(); });
  if (!check.wrong.empty()) AddNote(check.wrong, caveats);
  if (check.may_remember) {
    runner.RunOneAtATime();
    AddNote("one batch runs at a time", caveats);
  }
  return absl::OkStatus();
}

// Reads a model whose weights have been taken off the plan, and warms it up.
absl::StatusOr<std::shared_ptr<ModelRunner>> LoadBeside(ServedVersion& version,
                                                        const std::shared_ptr<RunnerParts>& parts,
                                                        const RunnerResources& resources,
                                                        const std::atomic<bool>& stopping, LoadFindings& findings) {
  absl::StatusOr<std::unique_ptr<Model>> loaded = resources.load(version);
  if (!loaded.ok()) return loaded.status();
  if (resources.observer != nullptr) parts->observer = resources.observer(version);
  std::shared_ptr<ModelRunner> runner = MakeRunner(version, *std::move(loaded), parts, resources);
  std::string caveats;
  NoteCaveats(runner->caveats(), caveats);
  if (version.config().warmup) {
    absl::Status status = WarmUp(version, *runner, resources, stopping, caveats, findings);
    if (!status.ok()) return status;
  }
  // Undoes what the runs left in the model. If there were none, this only frees what was kept for that.
  runner->ForgetRuns();
  findings.most_rows = runner->signature().max_batch_size;
  parts->memory->NoteWorking(findings.working_bytes);
  if (caveats.empty()) return runner;
  AddNote(caveats, findings.note);
  if (version.cache() != nullptr) {
    // The cache requires answers that are always the same.
    version.DropCache();
    AddNote("response_cache_bytes is not used", findings.note);
  }
  return runner;
}

}  // namespace

absl::StatusOr<std::shared_ptr<ModelRunner>> LoadRunner(ServedVersion& version, const RunnerResources& resources,
                                                        const std::atomic<bool>& stopping, LoadFindings& findings) {
  absl::StatusOr<std::unique_ptr<MemoryPlan::Claim>> memory = resources.memory.Take(WeightBytes(version.entry().file));
  if (!memory.ok()) return memory.status();
  const auto parts = std::make_shared<RunnerParts>();
  parts->memory = *std::move(memory);
  absl::StatusOr<std::shared_ptr<ModelRunner>> runner = LoadBeside(version, parts, resources, stopping, findings);
  if (runner.ok()) {
    parts->memory->NoteServing();
  } else if (absl::IsResourceExhausted(runner.status())) {
    parts->memory->NoteRefused();
  }
  return runner;
}

}  // namespace predictd
