#include "tests/bench/generation/plan_run.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"

namespace predictd::bench {
namespace {

using Clock = std::chrono::steady_clock;

// For each call: a server that hangs is noticed.
constexpr auto kPatience = std::chrono::minutes(3);

// One call from its start to its end. One operation of it is in the queue at any time, with this as its tag.
struct Call {
  enum class Waiting { kStart, kRead, kFinish };

  Answer answer;
  grpc::ClientContext context;
  std::unique_ptr<grpc::ClientAsyncReader<v1::PredictStreamResponse>> reader;
  v1::PredictStreamResponse event;
  grpc::Status status;
  Waiting waiting = Waiting::kStart;
};

class Run {
 public:
  Run(v1::PredictionService::Stub& stub, const std::string& model, const Plan& plan)
      : stub_(stub), model_(model), plan_(plan), began_(Clock::now()) {
    for (size_t i = 0; i < plan.lanes.size(); ++i) coming_.emplace(plan.lanes[i].start, i);
  }

  std::vector<Answer> ToEnd() {
    while (!coming_.empty() || live_ > 0) {
      for (; !coming_.empty() && coming_.begin()->first <= Now(); coming_.erase(coming_.begin())) {
        Start(coming_.begin()->second, 0, coming_.begin()->first);
      }
      const auto until = coming_.empty() ? std::chrono::system_clock::time_point::max()
                                         : std::chrono::system_clock::now() +
                                               std::chrono::microseconds(static_cast<int64_t>(
                                                   1e6 * std::max(0.0, coming_.begin()->first - Now())));
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, until) == grpc::CompletionQueue::GOT_EVENT) Advance(static_cast<Call*>(tag), ok);
    }
    return std::move(answers_);
  }

 private:
  double Now() const { return std::chrono::duration<double>(Clock::now() - began_).count(); }

  void Start(size_t lane, size_t request, double due) {
    const PlannedRequest& planned = plan_.lanes[lane].requests[request];
    v1::PredictStreamRequest message;
    message.mutable_predict()->set_model_name(model_);
    (*message.mutable_predict()->mutable_parameters())["cache"].set_bool_value(false);
    v1::GenerationRequest& generation = *message.mutable_predict()->mutable_generation();
    const std::vector<int32_t>& prompt = plan_.prompts[planned.prompt];
    generation.mutable_token_ids()->mutable_ids()->Add(prompt.begin(), prompt.end());
    generation.set_max_tokens(planned.tokens);
    generation.set_temperature(plan_.temperature);
    // Whatever the model's own defaults are: of all tokens.
    generation.set_top_k(0);
    generation.set_top_p(1);
    generation.set_seed(lane);
    generation.set_ignore_end(true);

    auto call = std::make_unique<Call>();
    call->answer.lane = lane;
    call->answer.request = request;
    call->answer.due = due;
    call->context.set_deadline(std::chrono::system_clock::now() + kPatience);
    Call* tag = call.release();
    tag->reader = stub_.AsyncPredictStream(&tag->context, message, &queue_, tag);
    ++live_;
  }

  void Advance(Call* call, bool ok) {
    if (call->waiting == Call::Waiting::kFinish) return End(std::unique_ptr<Call>(call));
    if (!ok) {
      call->waiting = Call::Waiting::kFinish;
      return call->reader->Finish(&call->status, call);
    }
    if (call->waiting == Call::Waiting::kRead) Record(*call);
    call->waiting = Call::Waiting::kRead;
    call->reader->Read(&call->event, call);
  }

  void Record(Call& call) {
    if (call.event.has_delta()) {
      const double now = Now();
      for (const v1::GeneratedToken& token : call.event.delta().tokens()) {
        call.answer.times.push_back(now);
        call.answer.tokens.push_back(token.id());
      }
    }
    if (call.event.has_summary()) {
      call.answer.prompt_tokens = call.event.summary().usage().prompt_tokens();
      call.answer.cached_prompt_tokens = call.event.summary().usage().cached_prompt_tokens();
    }
  }

  void End(std::unique_ptr<Call> call) {
    Answer& answer = call->answer;
    answer.status = call->status.ok() ? "OK"
                                      : absl::StrCat("code ", static_cast<int>(call->status.error_code()), ": ",
                                                     call->status.error_message());
    const size_t next = answer.request + 1;
    if (call->status.ok() && next < plan_.lanes[answer.lane].requests.size()) Start(answer.lane, next, Now());
    answers_.push_back(std::move(answer));
    --live_;
  }

  v1::PredictionService::Stub& stub_;
  const std::string& model_;
  const Plan& plan_;
  grpc::CompletionQueue queue_;
  const Clock::time_point began_;
  // Lanes by their start.
  std::multimap<double, size_t> coming_;
  int64_t live_ = 0;
  std::vector<Answer> answers_;
};

}  // namespace

std::vector<Answer> RunPlan(v1::PredictionService::Stub& stub, const std::string& model, const Plan& plan) {
  return Run(stub, model, plan).ToEnd();
}

}  // namespace predictd::bench
