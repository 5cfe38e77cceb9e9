#include "tests/bench/engine/load_run.h"

#include <time.h>

#include <algorithm>
#include <thread>

#include "absl/strings/str_cat.h"

namespace predictd::bench {
namespace {

using std::chrono::microseconds;

constexpr auto kConnectTime = std::chrono::seconds(10);
constexpr auto kLateAfter = std::chrono::milliseconds(5);

double Microseconds(Clock::duration duration) {
  return std::chrono::duration<double, std::micro>(duration).count();
}

double Seconds(const timespec& time) {
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

double OwnCpuSeconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return Seconds(time);
}

std::string CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {
      "OK",        "CANCELLED",      "UNKNOWN",           "INVALID_ARGUMENT",   "DEADLINE_EXCEEDED",
      "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION",
      "ABORTED",   "OUT_OF_RANGE",   "UNIMPLEMENTED",     "INTERNAL",           "UNAVAILABLE",
      "DATA_LOSS", "UNAUTHENTICATED"};
  return kNames[code];
}

}  // namespace

// One call, from its start to its end. Owns itself: whoever takes its tag from the queue deletes it.
struct LoadRun::Call {
  const KnownCall& known;
  const Clock::time_point intended;
  Clock::time_point sent;
  grpc::ClientContext context;
  v1::PredictResponse answer;
  grpc::Status status;
  std::unique_ptr<grpc::ClientAsyncResponseReader<v1::PredictResponse>> reader;

  Call(const KnownCall& known, Clock::time_point intended) : known(known), intended(intended) {}
};

LoadRun::LoadRun(const LoadOptions& options, const std::vector<KnownCall>& calls)
    : options_(options), calls_(calls), random_(options.seed) {}

bool LoadRun::Run() {
  if (!Connect()) return false;
  const Clock::time_point start = Clock::now();
  window_start_ = start + options_.warm_up;
  window_end_ = window_start_ + options_.duration;
  next_arrival_ = start;
  std::jthread answers([this] { TakeAnswers(); });
  if (options_.rate == 0) {
    for (int i = 0; i < options_.in_flight; ++i) Start(Clock::now());
  }
  OfferUntil(window_start_);
  const double client_before = OwnCpuSeconds();
  const double server_before = ServerCpuSeconds();
  OfferUntil(window_end_);
  const double client_cpu = OwnCpuSeconds() - client_before;
  const double server_cpu = ServerCpuSeconds() - server_before;
  Finish();
  answers.join();
  outcome_.client_cpu_seconds = client_cpu;
  outcome_.server_cpu_seconds = server_cpu;
  return true;
}

bool LoadRun::Connect() {
  for (int i = 0; i < options_.connections; ++i) {
    grpc::ChannelArguments arguments;
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    const auto channel = grpc::CreateCustomChannel(options_.address, grpc::InsecureChannelCredentials(), arguments);
    if (!channel->WaitForConnected(std::chrono::system_clock::now() + kConnectTime)) return false;
    stubs_.push_back(v1::PredictionService::NewStub(channel));
  }
  return true;
}

void LoadRun::OfferUntil(Clock::time_point until) {
  if (options_.rate > 0) {
    std::exponential_distribution<double> gap(options_.rate);
    // After a delay, all that was due meanwhile is started at once, and counts from when it was due.
    while (next_arrival_ < until) {
      std::this_thread::sleep_until(next_arrival_);
      Start(next_arrival_);
      next_arrival_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(gap(random_)));
    }
  }
  std::this_thread::sleep_until(until);
}

void LoadRun::Start(Clock::time_point intended) {
  uint64_t number = 0;
  Call* call = nullptr;
  {
    const std::lock_guard lock(mutex_);
    number = started_++;
    call = new Call(calls_[number % calls_.size()], intended);
    live_.insert(call);
  }
  call->sent = Clock::now();
  if (options_.deadline > Clock::duration::zero()) {
    const auto left = std::chrono::duration_cast<microseconds>(intended + options_.deadline - call->sent);
    call->context.AddMetadata("grpc-timeout", absl::StrCat(std::max<int64_t>(left.count(), 1), "u"));
  }
  call->reader = stubs_[number % stubs_.size()]->AsyncPredict(&call->context, call->known.request, &queue_);
  call->reader->Finish(&call->answer, &call->status, call);
}

void LoadRun::TakeAnswers() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    const std::unique_ptr<Call> call(static_cast<Call*>(tag));
    const Clock::time_point now = Clock::now();
    Record(*call, now);
    if (options_.rate == 0 && now < window_end_) Start(now);
    const std::lock_guard lock(mutex_);
    live_.erase(call.get());
  }
}

void LoadRun::Record(const Call& call, Clock::time_point now) {
  const bool is_ok = call.status.ok();
  const bool is_right = is_ok && IsRightAnswer(call.answer, call.known.answer);
  if (is_right && IsMeasured(now)) ++outcome_.ok_in_window;
  if (!IsMeasured(call.intended)) return;
  ++outcome_.sent;
  outcome_.send_late_us.push_back(Microseconds(call.sent - call.intended));
  {
    const std::lock_guard lock(mutex_);
    if (gave_up_) {
      ++outcome_.unfinished;
      return;
    }
  }
  ++outcome_.codes[CodeName(call.status.error_code())];
  if (is_ok && !is_right) ++outcome_.wrong;
  const Clock::duration latency = now - call.intended;
  const bool has_deadline = options_.deadline > Clock::duration::zero();
  if (is_right && (!has_deadline || latency <= options_.deadline)) ++outcome_.in_time;
  if (has_deadline && latency >= options_.deadline + kLateAfter) ++outcome_.late;
  if (is_ok) outcome_.ok_us.push_back(Microseconds(latency));
  if (call.status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) {
    outcome_.refused_us.push_back(Microseconds(latency));
  }
}

void LoadRun::Finish() {
  const auto all_ended = [this] {
    const std::lock_guard lock(mutex_);
    return live_.empty();
  };
  const auto wait_until = [&all_ended](Clock::time_point until) {
    while (!all_ended() && Clock::now() < until) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  };
  wait_until(window_end_ + options_.deadline + options_.patience);
  {
    const std::lock_guard lock(mutex_);
    gave_up_ = true;
    for (Call* call : live_) call->context.TryCancel();
  }
  wait_until(Clock::time_point::max());
  queue_.Shutdown();
}

double LoadRun::ServerCpuSeconds() const {
  clockid_t clock{};
  timespec time{};
  if (options_.server_pid == 0 || clock_getcpuclockid(options_.server_pid, &clock) != 0) return 0;
  clock_gettime(clock, &time);
  return Seconds(time);
}

}  // namespace predictd::bench
