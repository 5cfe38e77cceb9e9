#include "server/telemetry/library_log.h"

#include <array>
#include <optional>

#include "absl/types/span.h"

namespace predictd {

void LibraryLog::Report(LogLevel level, std::string_view message, std::string_view detail) noexcept {
  const std::optional<uint64_t> held_back = limiter_.Admit(std::chrono::steady_clock::now());
  if (!held_back.has_value()) return;
  const std::array<Field, 3> fields{Field{"library", library_}, Field{"detail", detail},
                                    Field{"held_back", *held_back}};
  Log(level, message, absl::MakeConstSpan(fields).first(*held_back > 0 ? 3 : 2));
}

}  // namespace predictd
