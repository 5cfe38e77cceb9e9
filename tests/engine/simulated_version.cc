#include "tests/engine/simulated_version.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace predictd {

using State = SimulatedRequest::State;

class SimulatedVersion::FakeModel final : public Model {
 public:
  explicit FakeModel(SimulatedVersion& version) : version_(version) {}
  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override { return version_.Run(inputs); }

 private:
  SimulatedVersion& version_;
};

SimulatedVersion::SimulatedVersion(const Options& options, Host host) : options_(options), host_(std::move(host)) {
  const TensorSpec spec = {"x", DType::kFp32, {-1, -1}};
  Signature signature = {{spec}, {{"y", DType::kFp32, {-1, -1}}}, /*batched=*/true, options_.max_rows};
  const ModelRunner::Options runner = {.queue = options_.queue, .share = options_.share, .observer = this};
  runner_ = std::make_shared<ModelRunner>(std::make_unique<FakeModel>(*this), std::move(signature), runner,
                                          host_.scheduler, host_.scheduler.clock());
  host_.scheduler.SetWeight(*runner_, options_.share.weight);
}

bool SimulatedVersion::HasRoomFor(const SimulatedRequest& request) const {
  if (request.admission == Admission::kIfSpare && 2 * ids_.size() >= options_.queue.capacity) return false;
  if (ids_.size() >= options_.queue.capacity) return false;
  return ids_.empty() || bytes_ + request.bytes() <= options_.queue.capacity_bytes;
}

std::string SimulatedVersion::FullMessage() const {
  return absl::StrCat("the model's queue is full: ", ids_.size(), " requests of ", bytes_, " bytes wait");
}

void SimulatedVersion::Enter(SimulatedRequest& request) {
  request.state = State::kWaiting;
  waiting_[request.width].emplace(request.due(), request.id);
  ids_.insert(request.id);
  last_id_ = request.id;
  bytes_ += request.bytes();
}

void SimulatedVersion::Leave(const SimulatedRequest& request) {
  Erase(request);
}

void SimulatedVersion::Erase(const SimulatedRequest& request) {
  const auto group = waiting_.find(request.width);
  Expect(group != waiting_.end() && group->second.erase({request.due(), request.id}) == 1, "what does not wait left");
  if (group != waiting_.end() && group->second.empty()) waiting_.erase(group);
  ids_.erase(request.id);
  bytes_ -= request.bytes();
}

const SimulatedRequest* SimulatedVersion::First() const {
  Place first = {TimePoint::max(), 0};
  for (const auto& [width, group] : waiting_) first = std::min(first, *group.begin());
  return waiting_.empty() ? nullptr : &host_.request(first.second);
}

void SimulatedVersion::CheckIdle() {
  const SimulatedRequest* first = First();
  if (first == nullptr) return;
  if (options_.share.max_concurrency > 0 && runs_ >= options_.share.max_concurrency) return;
  Duration patience = options_.queue.max_delay;
  if (first->deadline != kNever) patience = std::min(patience, (first->deadline - first->arrived) / 2);
  Expect(host_.scheduler.now() <= first->arrived + patience, "a request waits although a worker is idle");
}

void SimulatedVersion::CheckEnd() {
  Expect(ids_.empty() && waiting_.empty() && bytes_ == 0, "requests are left in a queue");
  Expect(queued_ == 0, "the number of queued requests does not return to 0");
  Expect(running_ == 0, "the number of running requests does not return to 0");
  Expect(runner_ == nullptr || runner_->queued() == 0, "the runner's queue is not empty");
}

void SimulatedVersion::OnQueuedChange(int64_t by) {
  queued_ += by;
  Expect(queued_ >= 0, "fewer than 0 requests are queued");
  if (by <= 0) came_later_ = last_id_ + 1;
}

void SimulatedVersion::OnRunningChange(int64_t by) {
  running_ += by;
  Expect(running_ >= 0, "fewer than 0 requests run");
}

void SimulatedVersion::OnBatch(int64_t rows, Duration compute) {
  Expect(rows > 0 && compute > Duration::zero(), "a batch without rows or time");
}

void SimulatedVersion::OnDequeued(Duration waited) {
  Expect(waited >= Duration::zero(), "a request was taken before it came");
}

SimulatedVersion::Batch SimulatedVersion::MembersOf(const Tensor& input) {
  const int64_t rows = input.shape()[0];
  const int64_t width = input.shape()[1];
  const std::vector<float> values = Values(input);
  Batch batch;
  for (int64_t row = 0; row < rows;) {
    SimulatedRequest& request = host_.request(static_cast<int64_t>(values[row * width]));
    const bool whole = request.width == width && row + request.rows <= rows &&
                       std::all_of(values.begin() + row * width, values.begin() + (row + request.rows) * width,
                                   [&](float value) { return value == static_cast<float>(request.id); });
    Expect(whole, "a batch has parts of requests, or of other shapes");
    if (!whole) return batch;
    batch.push_back(&request);
    row += request.rows;
  }
  return batch;
}

void SimulatedVersion::CheckFirstRun(const Batch& batch, int64_t rows) {
  const int64_t width = batch.front()->width;
  Expect(batch.size() == 1 || rows <= options_.max_rows, "a batch has more rows than it may");
  Place first = {TimePoint::max(), 0};
  Place last = {TimePoint::min(), 0};
  for (const SimulatedRequest* request : batch) {
    const Place place = {request->due(), request->id};
    Expect(last < place, "a batch is not in the order of deadlines");
    first = std::min(first, place);
    last = std::max(last, place);
  }
  for (const auto& [other, group] : waiting_) {
    auto next = group.begin();
    while (next != group.end() && next->second >= came_later_) ++next;
    if (next == group.end()) continue;
    Expect(first < *next, "another shape was due earlier");
    Expect(other != width || last < *next, "an earlier deadline of the same shape was left");
  }
  // Checks what JobQueue says about starvation. Other requests of the same shape may run along with the first one.
  if (ids_.empty()) return;
  const TimePoint oldest = host_.request(*ids_.begin()).arrived;
  Expect(batch.front()->arrived <= oldest + kPatience + kMaxPriority * kPriorityLevel, "a request starves");
}

absl::StatusOr<std::vector<Tensor>> SimulatedVersion::Run(absl::Span<const Tensor> inputs) {
  const TimePoint now = host_.scheduler.now();
  const int64_t rows = inputs[0].shape()[0];
  const Batch batch = MembersOf(inputs[0]);
  if (batch.empty()) return absl::InternalError("no members");
  // Whether this is a part of a batch that failed.
  const bool again = std::all_of(batch.begin(), batch.end(),
                                 [](const SimulatedRequest* request) { return request->state == State::kRunning; });
  bool poisonous = false;
  for (SimulatedRequest* request : batch) {
    Expect(again || request->state == State::kWaiting, "a request that does not wait is computed");
    Expect(now < request->deadline, "an expired request is computed");
    if (request->state == State::kWaiting) Erase(*request);
    poisonous |= request->poisonous;
    request->state = State::kRunning;
    request->started = now;
    request->ran_alone = batch.size() == 1;
  }
  if (!again) CheckFirstRun(batch, rows);

  ++runs_;
  Expect(options_.share.max_concurrency == 0 || runs_ <= options_.share.max_concurrency,
         "more batches run at once than may");
  host_.scheduler.AdvanceTo(now + host_.cost(rows));
  --runs_;
  if (poisonous) return absl::InternalError("poison");
  return std::vector<Tensor>(inputs.begin(), inputs.end());
}

}  // namespace predictd
