#include "server/engine/bisection.h"

#include <algorithm>
#include <utility>

#include "server/async/work_status.h"

namespace predictd {

size_t Bisection::NextSize() const {
  if (alone_) return std::min<size_t>(size(), 1);
  return suspects_ == 0 ? size() : std::max<size_t>(suspects_ / 2, 1);
}

int64_t Bisection::NextRows() const {
  int64_t rows = 0;
  for (size_t i = begin_; i < begin_ + NextSize(); ++i) rows += jobs_[i]->request.rows;
  return rows;
}

absl::Span<const std::shared_ptr<Job>> Bisection::Next(TimePoint now) noexcept {
  DropEnded(now);
  part_ = NextSize();
  return absl::MakeConstSpan(jobs_).subspan(begin_, part_);
}

void Bisection::DropEnded(TimePoint now) noexcept {
  const size_t suspected_until = begin_ + suspects_;
  size_t live = begin_;
  for (size_t i = begin_; i < jobs_.size(); ++i) {
    Job& job = *jobs_[i];
    if (job.request.deadline <= now) job.Complete(StopStatus(StopReason::kDeadline, "the batch"));
    if (!job.ended()) {
      std::swap(jobs_[live++], jobs_[i]);
    } else if (i < suspected_until) {
      --suspects_;
    }
  }
  jobs_.erase(jobs_.begin() + static_cast<ptrdiff_t>(live), jobs_.end());
}

void Bisection::OnWorked() noexcept {
  begin_ += part_;
  suspects_ -= std::min(part_, suspects_);
}

void Bisection::OnFailed(absl::Status status) noexcept {
  if (part_ == 1) {
    const std::shared_ptr<Job> blamed = std::move(jobs_[begin_++]);
    suspects_ = 0;
    blamed->Complete(std::move(status));
    return;
  }
  const bool found_one_more = suspects_ == 0;
  if (found_one_more && searches_ == kSearches) {
    alone_ = true;
    if (absl::IsResourceExhausted(status)) EndAll(std::move(status));
    return;
  }
  if (found_one_more) ++searches_;
  suspects_ = part_;
}

void Bisection::EndAll(absl::Status status) noexcept {
  while (size() > 1) jobs_[begin_++]->Complete(status);
  // The last job gets the status itself, because the coroutine that it resumes uses it at once.
  if (!empty()) jobs_[begin_++]->Complete(std::move(status));
}

}  // namespace predictd
