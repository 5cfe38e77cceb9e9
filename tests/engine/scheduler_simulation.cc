#include "tests/engine/scheduler_simulation.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "server/async/retry_advice.h"

namespace predictd {
namespace {

using std::chrono::nanoseconds;
using State = SimulatedRequest::State;

// Far more steps than a correct scheduler needs.
constexpr int64_t kStepsPerOperation = 64;
constexpr int64_t kFewSteps = 10'000;

}  // namespace

SchedulerSimulation::Counts& SchedulerSimulation::Counts::operator+=(const Counts& other) {
  sent += other.sent;
  ok += other.ok;
  failed += other.failed;
  cancelled += other.cancelled;
  full += other.full;
  refused += other.refused;
  expired += other.expired;
  hopeless += other.hopeless;
  new_versions += other.new_versions;
  return *this;
}

SchedulerSimulation::SchedulerSimulation(const Options& options)
    : options_(options),
      random_(options.seed),
      scheduler_((options.kinds & kSeveralWorkers) != 0 ? 1 + static_cast<int>(random_() % 4) : 1,
                 kFewSteps + kStepsPerOperation * options.operations, findings_,
                 [this] {
                   for (SimulatedVersion& version : versions_) version.CheckIdle();
                 }),
      operations_left_(options.operations) {
  static constexpr Duration kUnits[] = {nanoseconds(5'000), nanoseconds(200'000), nanoseconds(10'000'000),
                                        nanoseconds(1'000'000'000)};
  static constexpr double kLoads[] = {0.3, 0.7, 1, 2, 5, 20};
  unit_ = kUnits[Pick(std::size(kUnits))];
  const double load = kLoads[Pick(std::size(kLoads))];
  load_ = options.load > 0 ? options.load : load;
  const int64_t models = May(kSeveralModels) ? 1 + Pick(4) : 1;
  for (int64_t i = 0; i < models; ++i) MakeModel();
  for (SimulatedModel& model : models_) StartVersion(model);
}

void SchedulerSimulation::MakeModel() {
  SimulatedModel model;
  model.options.max_rows = int64_t{1} << Pick(6);
  model.batch_cost = nanoseconds(1) + Random(4 * unit_);
  model.row_cost = Random(unit_);
  model.options.queue.capacity = May(kSmallQueues) ? 1 + Pick(60) : 1'000'000;
  if (May(kSmallQueues) && OneIn(2)) model.options.queue.capacity_bytes = 4 + Pick(1000);
  if (May(kDelays) && OneIn(2)) {
    model.options.queue.max_delay = Random(20 * unit_);
    if (OneIn(2)) model.options.queue.preferred_rows = {1 + Pick(8), 1 + Pick(32)};
  }
  if (May(kSeveralModels)) {
    model.options.share.weight = static_cast<double>(1 + Pick(20)) / 4;
    model.options.share.max_concurrency = static_cast<int>(Pick(3));
  }
  models_.push_back(std::move(model));
}

void SchedulerSimulation::StartVersion(SimulatedModel& model) {
  if (model.newest != nullptr) model.newest->Retire();
  versions_.emplace_back(model.options,
                         SimulatedVersion::Host{.scheduler = scheduler_,
                                                .findings = findings_,
                                                .request = [this](int64_t id) -> SimulatedRequest& {
                                                  const auto last = static_cast<int64_t>(requests_.size()) - 1;
                                                  return requests_[std::clamp<int64_t>(id, 0, last)];
                                                },
                                                .cost = [this, &model](int64_t rows) { return Cost(model, rows); }});
  model.newest = &versions_.back();
}

Duration SchedulerSimulation::Cost(const SimulatedModel& model, int64_t rows) {
  const Duration cost = model.batch_cost + rows * model.row_cost;
  if (!May(kUnsteadyCosts)) return cost;
  return nanoseconds(1) + (OneIn(50) ? 10 * cost : cost / 2 + Random(cost));
}

Duration SchedulerSimulation::MeanGap() const {
  // The time of a row in a full batch, averaged over the models.
  double nanos = 0;
  for (const SimulatedModel& model : models_) {
    const auto batch = static_cast<double>((model.batch_cost + model.options.max_rows * model.row_cost).count());
    nanos += batch / static_cast<double>(model.options.max_rows);
  }
  nanos /= static_cast<double>(models_.size()) * scheduler_.workers();
  return Duration(1 + static_cast<int64_t>(nanos / load_));
}

std::string SchedulerSimulation::Run() {
  scheduler_.At(scheduler_.now(), [this] { Operate(); });
  scheduler_.Finish();
  for (SimulatedRequest& request : requests_) {
    if (request.ends == 1) continue;
    findings_.Add("a request never ends");
    // This ends its coroutine.
    request.stop.RequestStop(StopReason::kCancelled);
  }
  for (SimulatedVersion& version : versions_) version.CheckEnd();
  findings_.Expect(scheduler_.quiet(), "the fair queue counts somebody who is idle");
  return findings_.first();
}

void SchedulerSimulation::Operate() {
  --operations_left_;
  const int64_t what = Pick(1000);
  const int64_t burst = 1 + Pick(8);
  const int64_t gap = Random(2 * MeanGap()).count();
  int64_t rows = 1;
  if (what < 5 && May(kNewVersions)) {
    StartVersion(models_[Pick(static_cast<int64_t>(models_.size()))]);
    ++counts_.new_versions;
  } else if (what < 150 && May(kCancels)) {
    Cancel();
  } else if (what < 300 && May(kBursts)) {
    for (int64_t i = 0; i < burst; ++i) SendNew();
    rows = burst;
  } else {
    SendNew();
  }
  // A pause now and then lets everything become idle.
  const Duration pause = OneIn(300) && May(kBursts) ? 200 * unit_ : Duration::zero();
  if (operations_left_ > 0) {
    scheduler_.At(scheduler_.now() + Duration(gap * rows) + pause, [this] { Operate(); });
  }
}

void SchedulerSimulation::SendNew() {
  SimulatedRequest& request = requests_.emplace_back();
  const int64_t model = Pick(static_cast<int64_t>(models_.size()));
  const int64_t rows = OneIn(30) ? 1 + Pick(40) : 1 + Pick(3);
  const int64_t width = OneIn(4) ? 1 + Pick(3) : 1;
  const int64_t priority = Pick(kMaxPriority + 1);
  const Duration batch = models_[model].batch_cost + models_[model].options.max_rows * models_[model].row_cost;
  Duration left = OneIn(20) ? Random(batch) : 3 * batch + Random(20 * batch);
  if (options_.batches_to_deadline > 0) left = options_.batches_to_deadline * batch;
  const bool has_deadline = !OneIn(4) || options_.batches_to_deadline > 0;
  const bool poisonous = OneIn(40);
  const bool sparing = OneIn(10);
  const int64_t followers = OneIn(10) ? 1 + Pick(4) : 0;
  if (May(kShapes)) {
    request.rows = rows;
    request.width = width;
  }
  if (May(kPriorities)) request.priority = priority;
  if (May(kDeadlines) && has_deadline) request.deadline = scheduler_.now() + left;
  request.poisonous = May(kFailures) && poisonous;
  if (May(kReplacements)) {
    request.followers = followers;
    if (sparing) request.admission = Admission::kIfSpare;
  }
  Send(*models_[model].newest, request);
}

void SchedulerSimulation::Cancel() {
  // Picks one of the last requests, which may still be on its way.
  const auto count = static_cast<int64_t>(requests_.size());
  if (count == 0) return;
  SimulatedRequest& request = requests_[count - 1 - Pick(std::min<int64_t>(count, 50))];
  if (request.state == State::kEnded) return;
  request.cancelled = true;
  request.stop.RequestStop(StopReason::kCancelled);
  findings_.Expect(request.state == State::kEnded, "a cancelled request does not end at once");
}

void SchedulerSimulation::Send(SimulatedVersion& version, SimulatedRequest& request) {
  ++counts_.sent;
  request.id = static_cast<int64_t>(requests_.size()) - 1;
  request.arrived = scheduler_.now();
  const bool room = version.HasRoomFor(request);
  Detach(Call(*this, version, request, version.runner()));
  if (request.state == State::kEnded) return;
  findings_.Expect(room || request.admission == Admission::kReplacement, "a full queue takes a request");
  version.Enter(request);
  if (request.deadline == kNever) return;
  const Duration late = OneIn(4) ? Random(20 * unit_) : Duration::zero();
  scheduler_.At(request.deadline + (May(kLateTimers) ? late : Duration::zero()), [this, &request] {
    if (request.state == State::kEnded) return;
    request.stop.RequestStop(StopReason::kDeadline);
    findings_.Expect(request.state == State::kEnded, "an expired request does not end at once");
  });
}

Task<> SchedulerSimulation::Call(SchedulerSimulation& self, SimulatedVersion& version, SimulatedRequest& request,
                                 std::shared_ptr<ModelRunner> runner) {
  absl::StatusOr<InferenceResult> result;
  {
    ModelRunner::Inference inference(*runner, request.Make(), request.stop, request.admission);
    result = co_await inference;
  }
  self.Ended(version, request, result);
}

void SchedulerSimulation::Ended(SimulatedVersion& version, SimulatedRequest& request,
                                const absl::StatusOr<InferenceResult>& result) {
  findings_.Expect(++request.ends == 1, "a request ends twice");
  switch (result.status().code()) {
    case absl::StatusCode::kOk:
      ++counts_.ok;
      CheckAnswer(request, *result);
      break;
    case absl::StatusCode::kInternal:
      ++counts_.failed;
      findings_.Expect(request.poisonous && request.ran_alone, "a request fails for another");
      break;
    case absl::StatusCode::kCancelled:
      ++counts_.cancelled;
      findings_.Expect(request.cancelled, "a request is cancelled, and nobody did it");
      break;
    case absl::StatusCode::kDeadlineExceeded:
      ++counts_.expired;
      findings_.Expect(scheduler_.now() >= request.deadline, "a request expires before its deadline");
      break;
    case absl::StatusCode::kResourceExhausted:
      CheckRefusal(version, request, result.status());
      break;
    default:
      findings_.Add("unexpected status: " + result.status().ToString());
  }
  if (request.state == State::kWaiting) version.Leave(request);
  request.state = State::kEnded;
  if (request.followers > 0 && result.ok()) Follow(version, request);
}

void SchedulerSimulation::CheckAnswer(const SimulatedRequest& request, const InferenceResult& result) {
  findings_.Expect(request.state == State::kRunning, "an answer without a run");
  findings_.Expect(!request.poisonous, "a run that failed is an answer");
  // So it ends after the deadline by less than the time of that run.
  findings_.Expect(request.started < request.deadline, "a run began after the deadline");
  findings_.Expect(result.timings.enqueued == request.arrived && result.timings.started == request.started &&
                       result.timings.ended <= scheduler_.now(),
                   "the timings are wrong");
  const std::vector<float> expected(request.rows * request.width, static_cast<float>(request.id));
  findings_.Expect(Values(result.outputs[0]) == expected, "a request gets the answer of another");
}

void SchedulerSimulation::CheckRefusal(SimulatedVersion& version, const SimulatedRequest& request,
                                       const absl::Status& status) {
  const auto retry = RetryAfter(status);
  findings_.Expect(retry >= absl::Milliseconds(1) && retry <= absl::Seconds(10), "a refusal without a time to retry");
  findings_.Expect(request.admission != Admission::kReplacement, "a replacement is refused");
  if (absl::StartsWith(status.message(), "the model's queue is full")) {
    ++counts_.full;
    findings_.Expect(request.state == State::kArriving, "a request that waits is told that the queue is full");
    findings_.Expect(!version.HasRoomFor(request), "a queue with room is full");
    findings_.Expect(status.message() == version.FullMessage(), "a queue counts wrongly what waits");
    return;
  }
  ++(request.state == State::kArriving ? counts_.refused : counts_.hopeless);
  findings_.Expect(request.state != State::kRunning, "a request that runs is refused");
  findings_.Expect(request.deadline != kNever, "a request without a deadline would miss it");
}

void SchedulerSimulation::Follow(SimulatedVersion& version, const SimulatedRequest& request) {
  if (version.runner() == nullptr) return;
  SimulatedRequest& next = requests_.emplace_back();
  next.rows = request.rows;
  next.width = request.width;
  next.priority = request.priority;
  next.deadline = request.deadline;
  next.admission = Admission::kReplacement;
  next.followers = request.followers - 1;
  Send(version, next);
}

}  // namespace predictd
