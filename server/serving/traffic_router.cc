#include "server/serving/traffic_router.h"

#include <cmath>

namespace predictd {
namespace {

// The golden ratio's part of 2^64: its multiples, without what is beyond 2^64, lie as evenly as numbers can, however
// many there are.
constexpr uint64_t kGoldenStep = 0x9E3779B97F4A7C15;

// The finalizer of SplitMix64, so that each bit of the result depends on each bit of the number.
uint64_t Mix(uint64_t number) {
  number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9;
  number = (number ^ (number >> 27)) * 0x94D049BB133111EB;
  return number ^ (number >> 31);
}

// FNV-1a. Unlike Abseil's hashes it is the same in every process.
uint64_t HashOf(absl::string_view text, uint64_t hash = 0xCBF29CE484222325) {
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  return hash;
}

}  // namespace

std::optional<size_t> TrafficRouter::Choose(absl::string_view key, absl::FunctionRef<bool(size_t)> ready) const {
  return key.empty() ? Next(ready) : ByKey(key, ready);
}

std::optional<size_t> TrafficRouter::Next(absl::FunctionRef<bool(size_t)> ready) const {
  uint64_t sum = 0;
  for (size_t i = 0; i < split_.shares.size(); ++i) {
    if (ready(i)) sum += static_cast<uint64_t>(split_.shares[i].weight);
  }
  const uint64_t place = kGoldenStep * requests_.fetch_add(1, std::memory_order_relaxed);
  // Below the sum of the weights.
  auto left = static_cast<uint64_t>((static_cast<unsigned __int128>(place) * sum) >> 64);
  for (size_t i = 0; i < split_.shares.size(); ++i) {
    if (!ready(i)) continue;
    const auto weight = static_cast<uint64_t>(split_.shares[i].weight);
    if (left < weight) return i;
    left -= weight;
  }
  return std::nullopt;
}

// Weighted rendezvous hashing: each share draws a lot for the key, which only its name and its weight decide, so a
// share that changes or goes moves no keys between the others.
std::optional<size_t> TrafficRouter::ByKey(absl::string_view key, absl::FunctionRef<bool(size_t)> ready) const {
  std::optional<size_t> chosen;
  double least = 0;
  const uint64_t hash = HashOf(key);
  for (size_t i = 0; i < split_.shares.size(); ++i) {
    const TrafficShare& share = split_.shares[i];
    if (share.weight == 0 || !ready(i)) continue;
    // Above 0 and at most 1.
    const double drawn = (static_cast<double>(Mix(HashOf(share.version, hash)) >> 11) + 1) * 0x1p-53;
    const double lot = -std::log(drawn) / static_cast<double>(share.weight);
    if (chosen.has_value() && lot >= least) continue;
    least = lot;
    chosen = i;
  }
  return chosen;
}

bool TrafficRouter::BeginCopy(int64_t bytes) const {
  constexpr int64_t kMostCopies = 8;
  constexpr int64_t kMostBytes = int64_t{16} << 20;
  const bool few = running_copies_.fetch_add(1, std::memory_order_relaxed) < kMostCopies;
  const bool small = running_bytes_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= kMostBytes;
  if (few && small) return true;
  EndCopy(bytes);
  return false;
}

void TrafficRouter::EndCopy(int64_t bytes) const {
  running_copies_.fetch_sub(1, std::memory_order_relaxed);
  running_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
}

bool TrafficRouter::CopyNext() const {
  if (split_.shadow_fraction == 0) return false;
  const auto before = static_cast<double>(copied_.fetch_add(1, std::memory_order_relaxed));
  return std::floor((before + 1) * split_.shadow_fraction) > std::floor(before * split_.shadow_fraction);
}

}  // namespace predictd
