#include "client/predictctl/progress.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"

namespace predictd {
namespace {

constexpr absl::Duration kRedrawEvery = absl::Milliseconds(100);
constexpr char kClearLine[] = "\r\x1b[K";

}  // namespace

Progress::Progress(std::ostream& out, bool enabled) : out_(out), enabled_(enabled), start_(absl::Now()) {}

Progress::~Progress() {
  Clear();
}

void Progress::Show(std::int64_t done, std::int64_t total) {
  const absl::Time now = absl::Now();
  if (!enabled_ || now - drawn_at_ < kRedrawEvery) return;
  const double seconds = std::max(absl::ToDoubleSeconds(now - start_), 1e-3);
  const double percent = total > 0 ? 100 * static_cast<double>(done) / static_cast<double>(total) : 100;
  out_ << kClearLine
       << absl::StrFormat("%d/%d rows, %.0f%%, %.0f rows/s", done, total, percent, static_cast<double>(done) / seconds)
       << std::flush;
  drawn_at_ = now;
  visible_ = true;
}

void Progress::Clear() {
  if (!visible_) return;
  out_ << kClearLine << std::flush;
  visible_ = false;
}

}  // namespace predictd
