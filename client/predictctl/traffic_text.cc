#include "client/predictctl/traffic_text.h"

#include <array>
#include <charconv>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/predictctl/table.h"
#include "client/predictctl/terminal_text.h"

namespace predictd {
namespace {

constexpr std::int64_t kDefaultMinRequests = 100;

// As few digits as tell the number from all others.
std::string NumberText(double number) {
  std::array<char, 32> buffer{};
  return {buffer.data(), std::to_chars(buffer.data(), buffer.data() + buffer.size(), number).ptr};
}

std::string PercentText(double part) {
  return absl::StrFormat("%.4g%%", 100 * part);
}

std::int64_t MinRequests(const v1::RollbackRule& rule) {
  return rule.min_requests() == 0 ? kDefaultMinRequests : rule.min_requests();
}

void PrintRollback(const v1::RollbackRule& rule, std::ostream& out) {
  std::vector<std::string> conditions;
  if (rule.max_failure_excess() > 0) {
    conditions.push_back(absl::StrCat(PercentText(rule.max_failure_excess()), " more of its requests fail"));
  }
  if (rule.max_latency_ratio() > 0) {
    conditions.push_back(absl::StrCat("they take ", NumberText(rule.max_latency_ratio()), " times as long"));
  }
  out << "  " << TerminalText(rule.stable())
      << " gets all requests if another version is worse: " << absl::StrJoin(conditions, ", or ") << " (after "
      << MinRequests(rule) << " of each)\n";
}

}  // namespace

std::string TrafficText(const v1::TrafficSplit& traffic) {
  std::vector<std::string> words;
  for (const v1::TrafficShare& share : traffic.shares()) {
    words.push_back(absl::StrCat(TerminalText(share.version()), "=", share.weight()));
  }
  if (traffic.has_shadow()) {
    words.push_back(absl::StrCat("--shadow ", TerminalText(traffic.shadow().version()), "=",
                                 NumberText(traffic.shadow().fraction())));
  }
  if (traffic.has_rollback()) {
    const v1::RollbackRule& rule = traffic.rollback();
    words.push_back(absl::StrCat("--rollback-to ", TerminalText(rule.stable())));
    if (rule.max_failure_excess() > 0) {
      words.push_back(absl::StrCat("--max-failure-excess ", NumberText(rule.max_failure_excess())));
    }
    if (rule.max_latency_ratio() > 0) {
      words.push_back(absl::StrCat("--max-latency-ratio ", NumberText(rule.max_latency_ratio())));
    }
    if (MinRequests(rule) != kDefaultMinRequests) words.push_back(absl::StrCat("--min-requests ", rule.min_requests()));
  }
  return absl::StrJoin(words, " ");
}

void PrintTraffic(const v1::TrafficSplit& traffic, std::ostream& out) {
  double sum = 0;
  for (const v1::TrafficShare& share : traffic.shares()) sum += static_cast<double>(share.weight());
  Table table({"VERSION", "WEIGHT", "PART"});
  for (const v1::TrafficShare& share : traffic.shares()) {
    const double part = sum > 0 ? static_cast<double>(share.weight()) / sum : 0;
    table.AddRow({TerminalText(share.version()), absl::StrCat(share.weight()), PercentText(part)});
  }
  out << table.Text("  ");
  if (traffic.has_shadow()) {
    out << "  " << TerminalText(traffic.shadow().version()) << " gets copies of "
        << PercentText(traffic.shadow().fraction()) << " of the requests\n";
  }
  if (traffic.has_rollback()) PrintRollback(traffic.rollback(), out);
}

}  // namespace predictd
