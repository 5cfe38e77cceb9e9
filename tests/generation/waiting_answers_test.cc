#include "server/generation/waiting_answers.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>

#include "server/async/retry_advice.h"
#include "tests/generation/generator_fixture.h"

namespace predictd {
namespace {

using std::chrono::seconds;

class WaitingAnswersTest : public testing::Test {
 protected:
  WaitingAnswers::Room Reserve(int answers, int place = 0) {
    return *waiting_.Reserve(answers, TimePoint(), TimePoint(seconds(place)));
  }
  // `max_tokens` identifies the request.
  WaitingAnswers::Ticket Add(WaitingAnswers::Room room, int64_t max_tokens) {
    const int answers = room.answers();
    auto request = std::make_shared<const EncodedRequest>(EncodedRequest{.prompt = {}, .max_tokens = max_tokens});
    return waiting_.Add(std::move(room), std::move(request),
                        std::make_shared<AnswerStream>(answers, /*prompt_tokens=*/0, TimePoint()));
  }
  // Identifies the request and the answer.
  std::pair<int64_t, int> Take() {
    const std::optional<WaitingAnswer> next = waiting_.Take();
    return next.has_value() ? std::pair(next->request->max_tokens, next->index) : std::pair<int64_t, int>(-1, -1);
  }

  GeneratorCounts counts_;
  WaitingAnswers waiting_{/*capacity=*/4, counts_};
};

TEST_F(WaitingAnswersTest, RoomCountsAsMuchAsWhatWaitsAndComesBack) {
  std::optional<WaitingAnswers::Room> room = Reserve(3);
  const absl::Status full = waiting_.Reserve(2, TimePoint(), TimePoint()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_TRUE(RetryAfter(full).has_value());
  EXPECT_EQ(counts_.waiting, 3);
  EXPECT_EQ(waiting_.size(), 0);
  room.reset();
  EXPECT_EQ(counts_.waiting, 0);
  EXPECT_TRUE(waiting_.Reserve(4, TimePoint(), TimePoint()).ok());
}

TEST_F(WaitingAnswersTest, AnswersTakeTheRoomOfTheirRequest) {
  Add(Reserve(4), 1);
  EXPECT_EQ(counts_.waiting, 4);
  EXPECT_EQ(waiting_.size(), 4);
  EXPECT_FALSE(waiting_.Reserve(1, TimePoint(), TimePoint()).ok());
  EXPECT_EQ(Take(), std::pair(int64_t{1}, 0));
  EXPECT_TRUE(waiting_.Reserve(1, TimePoint(), TimePoint()).ok());
  EXPECT_EQ(counts_.waiting, 3);
}

TEST_F(WaitingAnswersTest, EarliestPlaceIsNextAndAnswersOfARequestStayInOrder) {
  Add(Reserve(1, /*place=*/5), 5);
  Add(Reserve(2, /*place=*/3), 3);
  Add(Reserve(1, /*place=*/5), 6);
  EXPECT_EQ(Take(), std::pair(int64_t{3}, 0));
  EXPECT_EQ(Take(), std::pair(int64_t{3}, 1));
  EXPECT_EQ(Take(), std::pair(int64_t{5}, 0));
  EXPECT_EQ(Take(), std::pair(int64_t{6}, 0));
  EXPECT_EQ(Take().first, -1);
  EXPECT_EQ(counts_.waiting, 0);
}

TEST_F(WaitingAnswersTest, RemovingTakesWhatStillWaitsOfARequestAndNothingElse) {
  const WaitingAnswers::Ticket ticket = Add(Reserve(3), 1);
  Add(Reserve(1), 2);
  EXPECT_EQ(Take(), std::pair(int64_t{1}, 0));
  waiting_.Remove(ticket);
  waiting_.Remove(ticket);
  EXPECT_EQ(counts_.waiting, 1);
  EXPECT_EQ(Take(), std::pair(int64_t{2}, 0));
}

}  // namespace
}  // namespace predictd
