#include "client/server_timing.h"

#include <cmath>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
inline namespace client {
namespace {

// Reads the header from left to right.
class Cursor {
 public:
  explicit Cursor(absl::string_view text) : rest_(text) {}

  bool AtEnd() const { return rest_.empty(); }

  // Skips blanks, and then `symbol` if it comes next.
  bool Take(char symbol) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    if (rest_.empty() || rest_.front() != symbol) return false;
    rest_.remove_prefix(1);
    return true;
  }

  // Reads a token; empty if none comes next.
  std::string Token() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    std::size_t length = 0;
    while (length < rest_.size() && IsTokenCharacter(rest_[length])) ++length;
    std::string token(rest_.substr(0, length));
    rest_.remove_prefix(length);
    return token;
  }

  // Reads a token or a quoted string.
  std::string Value() {
    if (!Take('"')) return Token();
    std::string value;
    while (!rest_.empty() && rest_.front() != '"') {
      if (rest_.front() == '\\' && rest_.size() > 1) rest_.remove_prefix(1);
      value.push_back(rest_.front());
      rest_.remove_prefix(1);
    }
    Take('"');
    return value;
  }

  // Skips to just after the next `,` that is not quoted, or to the end.
  void SkipEntry() {
    while (!rest_.empty()) {
      if (rest_.front() == '"') {
        Value();
      } else if (Take(',')) {
        return;
      } else if (!rest_.empty()) {
        rest_.remove_prefix(1);
      }
    }
  }

 private:
  static bool IsTokenCharacter(char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || absl::StrContains("!#$%&'*+-.^_`|~", c);
  }

  absl::string_view rest_;
};

std::optional<absl::Duration> Milliseconds(const std::string& text) {
  double milliseconds = 0;
  if (!absl::SimpleAtod(text, &milliseconds) || !std::isfinite(milliseconds)) return std::nullopt;
  return absl::Milliseconds(milliseconds);
}

}  // namespace

std::vector<TimingMetric> ParseServerTiming(absl::string_view header) {
  std::vector<TimingMetric> timings;
  Cursor cursor(header);
  while (!cursor.AtEnd()) {
    TimingMetric metric{.name = cursor.Token(), .duration = std::nullopt, .description = {}};
    if (!metric.name.empty()) {
      while (cursor.Take(';')) {
        const std::string parameter = absl::AsciiStrToLower(cursor.Token());
        const std::string value = cursor.Take('=') ? cursor.Value() : "";
        if (parameter == "dur" && !metric.duration.has_value()) metric.duration = Milliseconds(value);
        if (parameter == "desc" && metric.description.empty()) metric.description = value;
      }
      timings.push_back(std::move(metric));
    }
    cursor.SkipEntry();
  }
  return timings;
}

const TimingMetric* FindTiming(const std::vector<TimingMetric>& timings, absl::string_view name) {
  for (const TimingMetric& metric : timings) {
    if (metric.name == name) return &metric;
  }
  return nullptr;
}

}  // namespace client
}  // namespace predictd
