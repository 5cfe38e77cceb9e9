#ifndef PREDICTD_SERVER_GENERATION_WAITING_ANSWERS_H_
#define PREDICTD_SERVER_GENERATION_WAITING_ANSWERS_H_

#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/mutex.h"
#include "server/generation/answer_stream.h"
#include "server/generation/generation.h"
#include "server/generation/generator_observer.h"

namespace predictd {

// An answer that waits for a slot. The answers of one request share the request and the stream.
struct WaitingAnswer {
  std::shared_ptr<const EncodedRequest> request;
  std::shared_ptr<AnswerStream> stream;
  int index = 0;
};

// The answers that wait for a slot of a generator, ordered by deadline within a level of priority, and the room
// reserved for requests whose prompts are not tokenized yet. Both together are bounded. Thread-safe.
class WaitingAnswers {
 public:
  // The observer must outlive it.
  WaitingAnswers(int64_t capacity, GeneratorObserver& observer) : capacity_(capacity), observer_(observer) {}
  WaitingAnswers(const WaitingAnswers&) = delete;
  WaitingAnswers& operator=(const WaitingAnswers&) = delete;

  // Room for the answers of a request, given back when the object is destroyed. The WaitingAnswers must outlive it.
  class Room {
   public:
    Room(Room&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          answers_(other.answers_),
          taken_(other.taken_),
          place_(other.place_) {}
    Room& operator=(Room&&) = delete;
    ~Room() {
      if (owner_ != nullptr) owner_->GiveBack(answers_);
    }

    // When the request arrived.
    TimePoint taken() const { return taken_; }
    // Answers with an earlier place go first.
    TimePoint place() const { return place_; }
    int answers() const { return answers_; }

   private:
    friend class WaitingAnswers;
    Room(WaitingAnswers* owner, int answers, TimePoint taken, TimePoint place)
        : owner_(owner), answers_(answers), taken_(taken), place_(place) {}

    WaitingAnswers* owner_;
    const int answers_;
    const TimePoint taken_;
    const TimePoint place_;
  };

  // Identifies the waiting answers of a request.
  struct Ticket {
    TimePoint place;
    int64_t first = 0;
    int answers = 0;
  };

  // RESOURCE_EXHAUSTED with advice on when to retry if too many answers wait.
  absl::StatusOr<Room> Reserve(int answers, TimePoint now, TimePoint place);
  // Puts the answers of a request into its room, as many as the room is for.
  Ticket Add(Room room, std::shared_ptr<const EncodedRequest> request, std::shared_ptr<AnswerStream> stream);
  // Removes those answers that still wait. Neither this nor Take allocates.
  void Remove(const Ticket& ticket);
  // The next answer, if one waits.
  std::optional<WaitingAnswer> Take();

  // How many answers wait, without those whose prompts are not tokenized yet.
  int64_t size() const;

 private:
  struct Place {
    TimePoint order;
    int64_t number = 0;
    auto operator<=>(const Place&) const = default;
  };

  void GiveBack(int answers);

  const int64_t capacity_;
  GeneratorObserver& observer_;

  mutable Mutex mutex_;
  std::map<Place, WaitingAnswer> waiting_ ABSL_GUARDED_BY(mutex_);
  int64_t reserved_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t added_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_WAITING_ANSWERS_H_
