#include "server/rpc/connection_policy.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace predictd {
void ConnectionLedger::AddNoise(int64_t bytes) {
  const int64_t paid = std::min(owed_, bytes);
  owed_ -= paid;
  noise_ += bytes - paid;
}

void ConnectionLedger::Owe(int64_t bytes, TimePoint now) {
  owed_ = std::min(owed_ + bytes, policy_.most_owed);
  owed_at_ = now;
}

Verdict ConnectionLedger::Look(const ConnectionSnapshot& now) {
  const CallCounts& before = last_.calls;
  const CallCounts& calls = now.calls;
  const Duration elapsed = now.at - last_.at;
  const int64_t messages = calls.message_bytes - before.message_bytes;
  const int64_t unserved = calls.ended_unserved - before.ended_unserved;
  const int64_t awaiting = std::max<int64_t>(0, calls.awaiting());

  // The peer learns later than the server that a call is over, and until then more of its message is under way.
  if (unserved > 0) {
    Owe(unserved * policy_.max_message_bytes + policy_.overlong_bytes, now.at);
  } else if (now.at - owed_at_ > policy_.owed_for) {
    owed_ = 0;
  }

  int64_t rest = now.read_bytes - last_.read_bytes - messages;
  const int64_t new_frames = calls.frame_bytes - before.frame_bytes;
  int64_t frames = frames_left_ + new_frames;
  if (rest > 0) {
    // Calls explain their headers, and what was written explains a reader's window updates.
    const int64_t overhead =
        (calls.begun - before.begun) * policy_.header_bytes + (now.written_bytes - last_.written_bytes);
    rest -= std::min(rest, overhead);
    const int64_t in_frames = std::min(rest, frames);
    rest -= in_frames;
    frames -= in_frames;
  }
  // Frames explain what is there, and pay for nothing else: a peer may save them.
  frames_left_ = std::min(frames, new_frames);
  // A message may be counted before its bytes are, but not twice: what it explains in excess is kept until the next
  // look.
  const bool explained = rest < 0 || half_sent_ < 0;
  if (explained || awaiting > 0 || before.awaiting() > 0 || unserved > 0) {
    half_sent_ += rest;
  } else {
    AddNoise(rest);
  }
  // A call that ended before its message had arrived took its part of the bytes along. Nobody knows how much that was,
  // so it counts as an equal share.
  if (unserved > 0 && half_sent_ > 0) half_sent_ -= half_sent_ / (unserved + awaiting) * unserved;
  if (awaiting == 0 && half_sent_ > 0) {
    // If no call has given up its part, there was no call that waited for these bytes.
    if (unserved == 0 && before.awaiting() == 0) AddNoise(half_sent_);
    half_sent_ = 0;
  }
  if (awaiting == 0) maybe_half_sent_ = 0;
  if (half_sent_ < 0) {
    const int64_t paid = std::min(noise_, -half_sent_);
    noise_ -= paid;
    half_sent_ = std::max(half_sent_ + paid, -messages);
  }
  const int64_t half_sent_limit = policy_.noise_burst + awaiting * (policy_.max_message_bytes + policy_.header_bytes);
  if (half_sent_ > half_sent_limit) {
    const int64_t paid = std::min(owed_, half_sent_ - half_sent_limit);
    owed_ -= paid;
    half_sent_ -= paid;
    maybe_half_sent_ += paid;
  }
  noise_ = std::max<int64_t>(
      0, noise_ - static_cast<int64_t>(static_cast<double>(policy_.noise_per_second) * ToSeconds(elapsed)));

  const int64_t given_up = calls.given_up() - before.given_up();
  const int64_t answered = calls.answered() - before.answered();
  resets_ = resets_ * std::exp2(-ToSeconds(elapsed)) + static_cast<double>(std::max<int64_t>(0, given_up - answered));
  last_ = now;

  if (noise_ > policy_.noise_burst) return Verdict::kNoise;
  if (half_sent_ > half_sent_limit) return Verdict::kHalfSent;
  return Verdict::kKeep;
}

}  // namespace predictd
