#include "server/model/memory_plan.h"

#include <algorithm>
#include <array>
#include <exception>
#include <limits>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace predictd {
namespace {

constexpr int64_t kMost = std::numeric_limits<int64_t>::max();

int64_t Sum(int64_t a, int64_t b) {
  int64_t sum = 0;
  return __builtin_add_overflow(a, b, &sum) ? kMost : sum;
}

}  // namespace

int64_t CacheDemand::bytes() const {
  int64_t bytes = 0;
  return __builtin_mul_overflow(slot_bytes, slots + prefix_slots, &bytes) ? kMost : bytes;
}

std::string BytesName(int64_t bytes) {
  constexpr std::array<const char*, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  size_t unit = 0;
  auto number = static_cast<double>(bytes);
  // Moves on early enough that "1024 MiB" is never printed.
  while (number >= 999.5 && unit + 1 < kUnits.size()) {
    number /= 1024;
    ++unit;
  }
  return absl::StrFormat("%.3g %s", number, kUnits[unit]);
}

int64_t WeightBytes(const std::filesystem::path& file) {
  std::error_code error;
  const auto bytes = std::filesystem::file_size(file, error);
  return error ? 0 : static_cast<int64_t>(bytes);
}

int64_t MemoryPlan::Sums::all() const {
  return Sum(Sum(weights, caches), working);
}

MemoryPlan::Sums MemoryPlan::SumsWithout(const Claim* claim) const {
  Sums sums;
  for (const Claim* const other : claims_) {
    if (other == claim) continue;
    sums.weights = Sum(sums.weights, other->weights_);
    sums.caches = Sum(sums.caches, other->cache_);
    sums.working = std::max(sums.working, other->working_);
  }
  return sums;
}

int64_t MemoryPlan::Reachable() const {
  return reachable_ == nullptr ? limit_ : std::min(limit_, reachable_());
}

int64_t MemoryPlan::Left(const Sums& sums, int64_t reachable) const {
  return std::max<int64_t>(0, reachable - Sum(others_, sums.all()));
}

int64_t MemoryPlan::taken() const {
  const MutexLock lock(mutex_);
  return SumsWithout(nullptr).all();
}

int64_t MemoryPlan::left() const {
  const int64_t reachable = Reachable();
  const MutexLock lock(mutex_);
  return Left(SumsWithout(nullptr), reachable);
}

int64_t MemoryPlan::caches() const {
  const MutexLock lock(mutex_);
  return SumsWithout(nullptr).caches;
}

int64_t MemoryPlan::working() const {
  const MutexLock lock(mutex_);
  return SumsWithout(nullptr).working;
}

std::string MemoryPlan::Figures(const Sums& sums, int64_t reachable) const {
  return absl::StrCat(
      BytesName(Left(sums, reachable)), " of ", BytesName(limit_), " are left for it: the server and its callers have ",
      BytesName(others_), ", other models ", BytesName(sums.all()),
      reachable < limit_ ? absl::StrCat(", other processes and the system ", BytesName(limit_ - reachable)) : "");
}

absl::StatusOr<std::unique_ptr<MemoryPlan::Claim>> MemoryPlan::Take(int64_t weights) {
  auto claim = std::unique_ptr<Claim>(new Claim(*this, weights));
  const int64_t reachable = Reachable();
  const MutexLock lock(mutex_);
  const Sums sums = SumsWithout(nullptr);
  if (weights <= Left(sums, reachable)) {
    claims_.push_back(claim.get());
    return claim;
  }
  NoteRefused(weights);
  return absl::ResourceExhaustedError(absl::StrCat("the model does not fit into memory: its file has ",
                                                   BytesName(weights), ", and ", Figures(sums, reachable)));
}

void MemoryPlan::OnRoom(std::function<void()> retry) {
  const MutexLock lock(retry_mutex_);
  retry_ = std::move(retry);
}

void MemoryPlan::NoteRefused(int64_t needed) {
  refused_ = std::min(refused_.value_or(needed), needed);
}

void MemoryPlan::GiveBack(const Claim& claim) noexcept {
  {
    const MutexLock lock(mutex_);
    std::erase(claims_, &claim);
    // What a model gives back that did not serve had been free when others were refused.
    if (!claim.serving_ || !refused_.has_value()) return;
  }
  try {
    const int64_t reachable = Reachable();
    {
      const MutexLock lock(mutex_);
      if (!refused_.has_value() || Left(SumsWithout(nullptr), reachable) < *refused_) return;
      refused_.reset();
    }
    const MutexLock lock(retry_mutex_);
    if (retry_ != nullptr) retry_();
  } catch (const std::exception&) {
    // There is too little memory to look for more. The next model that goes has it looked for again.
  }
}

MemoryPlan::Claim::~Claim() {
  plan_.GiveBack(*this);
}

absl::Status MemoryPlan::Claim::TakeCache(const CacheDemand& cache) {
  const int64_t reachable = plan_.Reachable();
  const MutexLock lock(plan_.mutex_);
  const Sums sums = plan_.SumsWithout(this);
  const int64_t room = plan_.Left(sums, reachable) - weights_;
  if (cache.bytes() <= room) {
    cache_ = cache.bytes();
    return absl::OkStatus();
  }
  plan_.NoteRefused(Sum(weights_, cache.bytes()));
  const int64_t slots = cache.slots + cache.prefix_slots;
  const int64_t fit = std::max<int64_t>(0, room) / std::max<int64_t>(1, cache.slot_bytes);
  const int64_t length = std::max<int64_t>(0, room) / std::max<int64_t>(1, cache.slot_bytes / cache.max_length) / slots;
  return absl::ResourceExhaustedError(
      absl::StrCat("the model does not fit into memory: ", slots, " slots (slots = ", cache.slots,
                   ", prefix_slots = ", cache.prefix_slots, ") of max_length = ", cache.max_length, " tokens take ",
                   BytesName(cache.bytes()), " when all are full, ", BytesName(cache.slot_bytes),
                   " each, and its weights ", BytesName(weights_), "; ", plan_.Figures(sums, reachable),
                   ". Of that length ", fit, " slots would fit in all, or that many of about ", length, " tokens"));
}

void MemoryPlan::Claim::NoteWorking(int64_t bytes) {
  const MutexLock lock(plan_.mutex_);
  working_ = std::max(working_, bytes);
}

void MemoryPlan::Claim::NoteServing() {
  const MutexLock lock(plan_.mutex_);
  serving_ = true;
}

void MemoryPlan::Claim::NoteRefused() {
  const MutexLock lock(plan_.mutex_);
  // How much more it needs is not known.
  plan_.NoteRefused(Sum(weights_, cache_));
}

}  // namespace predictd
