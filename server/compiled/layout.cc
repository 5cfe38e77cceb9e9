#include "server/compiled/layout.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace predictd {
namespace {

// An arbitrary extent for each symbol, such that products of them are equal only if the expressions are.
std::map<std::string, int64_t> SampleOf(const CompiledInput& input) {
  constexpr std::array<int64_t, 8> kPrimes = {1009, 1013, 1019, 1021, 1031, 1033, 1039, 1049};
  std::map<std::string, int64_t> sample;
  for (const CompiledExtent& extent : input.extents) {
    const auto linear = extent.size.has_value() ? extent.size->linear() : std::nullopt;
    if (linear.has_value()) sample.emplace(linear->symbol, kPrimes[sample.size() % kPrimes.size()]);
  }
  return sample;
}

}  // namespace

bool IsInCOrder(const CompiledInput& input) {
  if (!input.used) return true;
  const std::map<std::string, int64_t> sample = SampleOf(input);
  int64_t wanted = 1;
  for (size_t i = input.strides.size(); i-- > 0;) {
    // An unknown stride is one that the compiler took for granted.
    if (input.strides[i].has_value() && input.strides[i]->Evaluate(sample) != wanted) return false;
    if (i >= input.extents.size() || !input.extents[i].size.has_value()) return true;
    const std::optional<int64_t> extent = input.extents[i].size->Evaluate(sample);
    if (!extent.has_value()) return true;
    wanted *= *extent;
  }
  return true;
}

bool CanBeLaidOut(const CompiledInput& input) {
  if (input.strides.size() != input.extents.size()) return false;
  const std::map<std::string, int64_t> sample = SampleOf(input);
  // Strides and extents of a dense tensor, in any order of its dimensions.
  std::vector<std::pair<int64_t, int64_t>> order;
  for (size_t i = 0; i < input.strides.size(); ++i) {
    if (!input.strides[i].has_value() || !input.extents[i].size.has_value()) return false;
    const std::optional<int64_t> stride = input.strides[i]->Evaluate(sample);
    const std::optional<int64_t> extent = input.extents[i].size->Evaluate(sample);
    if (!stride.has_value() || !extent.has_value()) return false;
    if (*extent != 1) order.emplace_back(*stride, *extent);
  }
  std::sort(order.begin(), order.end());
  int64_t dense = 1;
  for (const auto& [stride, extent] : order) {
    if (stride != dense) return false;
    dense *= extent;
  }
  return true;
}

}  // namespace predictd
