#include "client/predictctl/control_arguments.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

constexpr char kLoadFooter[] =
    R"(It ends when all versions are ready, or with the reason why one is not, and has no deadline unless --deadline gives
one. If it ends sooner, the server goes on: 'predictctl models --watch MODEL' shows how far it is.
The server must have been started with --model-control explicit.

Example: predictctl load digits
)";

constexpr char kUnloadFooter[] =
    R"(Calls that have begun go on. The server must have been started with --model-control explicit.

Example: predictctl unload digits
)";

constexpr char kReloadFooter[] =
    R"(The new versions take over when they are ready; until then, or if one fails, those that serve go on. It has no
deadline unless --deadline gives one, and if it ends sooner, the server goes on.
The server must have been started with --model-control explicit or --control-listen.

Example: predictctl reload digits
)";

constexpr char kSplitFooter[] =
    R"(It is about the requests that name no version, and holds until the next split or the end of the server. A version is a
number or a label of model.toml. Without shares, what holds is shown.
The server must have been started with --model-control explicit or --control-listen.

Examples:
  predictctl split digits
  predictctl split digits 1=95 2=5 --rollback-to 1 --max-failure-excess 0.02
  predictctl split digits 1=1 --shadow 2=0.1
  predictctl split digits --reset
)";

// "NAME=NUMBER", cut at the last "=".
template <typename Number, typename Parse>
std::pair<std::string, Number> ParsePair(const std::string& option, const std::string& text,
                                         const std::string& expected, Parse parse) {
  const std::size_t end = text.rfind('=');
  Number number{};
  if (end == std::string::npos || end == 0 || !parse(text.substr(end + 1), &number)) {
    throw CLI::ValidationError(option, absl::StrCat("expected ", expected, ", got '", text, "'"));
  }
  return {text.substr(0, end), number};
}

void AddShare(const std::string& text, v1::TrafficSplit& traffic) {
  auto [version, weight] = ParsePair<std::int64_t>(
      "SHARE", text, "VERSION=WEIGHT with a whole number, as in 2=95",
      [](const std::string& digits, std::int64_t* out) { return absl::SimpleAtoi(digits, out); });
  v1::TrafficShare& share = *traffic.add_shares();
  share.set_version(std::move(version));
  share.set_weight(weight);
}

void SetShadow(const std::string& text, v1::TrafficSplit& traffic) {
  auto [version, fraction] =
      ParsePair<double>("--shadow", text, "VERSION=FRACTION, as in 3=0.1",
                        [](const std::string& digits, double* out) { return absl::SimpleAtod(digits, out); });
  traffic.mutable_shadow()->set_version(std::move(version));
  traffic.mutable_shadow()->set_fraction(fraction);
}

void AddRollback(CLI::App& app, CLI::Option* shares, v1::TrafficSplit& traffic) {
  CLI::Option* to = app.add_option_function<std::string>(
                           "--rollback-to",
                           [&traffic](const std::string& version) { traffic.mutable_rollback()->set_stable(version); },
                           "Gets everything once another version is worse than it")
                        ->type_name("VERSION")
                        ->needs(shares);
  app.add_option_function<double>(
         "--max-failure-excess",
         [&traffic](double excess) { traffic.mutable_rollback()->set_max_failure_excess(excess); },
         "Worse: so large a part more of its requests fails, as 0.02")
      ->type_name("X")
      ->needs(to);
  app.add_option_function<double>(
         "--max-latency-ratio", [&traffic](double ratio) { traffic.mutable_rollback()->set_max_latency_ratio(ratio); },
         "Worse: its requests take so many times as long, as 1.5")
      ->type_name("X")
      ->needs(to);
  app.add_option_function<std::int64_t>(
         "--min-requests",
         [&traffic](std::int64_t requests) { traffic.mutable_rollback()->set_min_requests(requests); },
         "How many requests both must have had before that [100]")
      ->type_name("N")
      ->needs(to);
}

const char* FooterOf(ControlArguments::Change change) {
  switch (change) {
    case ControlArguments::Change::kLoad:
      return kLoadFooter;
    case ControlArguments::Change::kUnload:
      return kUnloadFooter;
    case ControlArguments::Change::kReload:
      return kReloadFooter;
  }
  return "";
}

}  // namespace

void AddControl(CLI::App& app, ControlArguments& arguments) {
  app.add_option("MODEL", arguments.model, "The model")->required();
  app.footer(FooterOf(arguments.change));
}

void AddSplit(CLI::App& app, SplitArguments& arguments) {
  v1::TrafficSplit& traffic = arguments.traffic;
  app.add_option("MODEL", arguments.model, "The model")->required();
  CLI::Option* shares = app.add_option_function<std::vector<std::string>>(
                               "SHARE",
                               [&traffic](const std::vector<std::string>& texts) {
                                 for (const std::string& text : texts) AddShare(text, traffic);
                               },
                               "The weights of versions, of which each gets its part of the requests")
                            ->type_name("VERSION=WEIGHT");
  app.add_option_function<std::string>(
         "--shadow", [&traffic](const std::string& text) { SetShadow(text, traffic); },
         "A version that gets copies of so large a part of the requests, whose answers nobody gets")
      ->type_name("VERSION=FRACTION")
      ->needs(shares);
  AddRollback(app, shares, traffic);
  app.add_flag("--reset", arguments.reset, "Go back to what model.toml says")->excludes(shares);
  app.footer(kSplitFooter);
}

}  // namespace predictd
