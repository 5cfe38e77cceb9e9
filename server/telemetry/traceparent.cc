#include "server/telemetry/traceparent.h"

#include <cstddef>

namespace predictd {
namespace {

// The offsets are those of, for example, 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.
constexpr size_t kTraceIdAt = 3;
constexpr size_t kParentIdAt = 36;
constexpr size_t kFlagsAt = 53;
constexpr size_t kVersion00Size = 55;

// Both functions look at every character without a branch in between, because they run for every call that has the
// header.
bool IsLowerHex(std::string_view text) {
  bool all = true;
  for (const char c : text) all &= (c >= '0' && c <= '9') | (c >= 'a' && c <= 'f');
  return all;
}

bool IsAllZero(std::string_view text) {
  bool all = true;
  for (const char c : text) all &= c == '0';
  return all;
}

}  // namespace

std::optional<Traceparent> ParseTraceparent(std::string_view header) {
  if (header.size() < kVersion00Size) return std::nullopt;
  const std::string_view version = header.substr(0, 2);
  if (!IsLowerHex(version) || version == "ff") return std::nullopt;
  if (header.size() > kVersion00Size && (version == "00" || header[kVersion00Size] != '-')) return std::nullopt;
  if (header[kTraceIdAt - 1] != '-' || header[kParentIdAt - 1] != '-' || header[kFlagsAt - 1] != '-') {
    return std::nullopt;
  }
  const std::string_view trace_id = header.substr(kTraceIdAt, 32);
  const std::string_view parent_id = header.substr(kParentIdAt, 16);
  const std::string_view flags = header.substr(kFlagsAt, 2);
  if (!IsLowerHex(trace_id) || !IsLowerHex(parent_id) || !IsLowerHex(flags)) return std::nullopt;
  if (IsAllZero(trace_id) || IsAllZero(parent_id)) return std::nullopt;
  // The sampled flag is bit 0; the digits 1, 3, 5, 7, 9, b, d and f have it.
  const char low = flags[1];
  const int digit = low <= '9' ? low - '0' : low - 'a' + 10;
  return Traceparent{.trace_id = trace_id, .parent_id = parent_id, .sampled = (digit & 1) != 0};
}

}  // namespace predictd
