#include "server/generation/waiting_answers.h"

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"

namespace predictd {
namespace {

constexpr absl::Duration kRetryAfter = absl::Seconds(1);

}  // namespace

absl::StatusOr<WaitingAnswers::Room> WaitingAnswers::Reserve(int answers, TimePoint now, TimePoint place) {
  int64_t waiting = 0;
  {
    MutexLock lock(mutex_);
    waiting = static_cast<int64_t>(waiting_.size()) + reserved_;
    if (waiting + answers <= capacity_) {
      reserved_ += answers;
      observer_.OnWaitingChange(answers);
      return Room(this, answers, now, place);
    }
  }
  return WithRetryAfter(
      absl::ResourceExhaustedError(absl::StrCat("the model's queue is full: ", waiting, " answers wait")), kRetryAfter);
}

void WaitingAnswers::GiveBack(int answers) {
  MutexLock lock(mutex_);
  reserved_ -= answers;
  observer_.OnWaitingChange(-answers);
}

WaitingAnswers::Ticket WaitingAnswers::Add(Room room, std::shared_ptr<const EncodedRequest> request,
                                           std::shared_ptr<AnswerStream> stream) {
  Ticket ticket = {.place = room.place(), .first = 0, .answers = room.answers()};
  {
    MutexLock lock(mutex_);
    ticket.first = added_;
    added_ += ticket.answers;
  }
  // All or none: everything that can fail for lack of memory is done before any answer waits.
  std::map<Place, WaitingAnswer> added;
  for (int i = 0; i < ticket.answers; ++i) {
    added.emplace(Place{ticket.place, ticket.first + i}, WaitingAnswer{request, stream, i});
  }
  MutexLock lock(mutex_);
  waiting_.merge(added);
  reserved_ -= ticket.answers;
  room.owner_ = nullptr;
  return ticket;
}

void WaitingAnswers::Remove(const Ticket& ticket) {
  std::map<Place, WaitingAnswer> removed;
  MutexLock lock(mutex_);
  for (int i = 0; i < ticket.answers; ++i) removed.insert(waiting_.extract({ticket.place, ticket.first + i}));
  observer_.OnWaitingChange(-static_cast<int64_t>(removed.size()));
}

std::optional<WaitingAnswer> WaitingAnswers::Take() {
  MutexLock lock(mutex_);
  if (waiting_.empty()) return std::nullopt;
  observer_.OnWaitingChange(-1);
  return std::move(waiting_.extract(waiting_.begin()).mapped());
}

int64_t WaitingAnswers::size() const {
  MutexLock lock(mutex_);
  return static_cast<int64_t>(waiting_.size());
}

}  // namespace predictd
