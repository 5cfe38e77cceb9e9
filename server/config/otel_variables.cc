#include "server/config/otel_variables.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/config/value_parser.h"

namespace predictd {
namespace {

// The longest time for a batch; see --trace-timeout.
constexpr absl::Duration kMostTimeout = absl::Seconds(4);

struct Variable {
  std::string name;
  std::string value;
};

// Reads the variables and turns them into options.
class OtelReader {
 public:
  OtelReader(const char* const* environment, std::map<std::string, std::string>& settings)
      : environment_(environment), settings_(settings) {}

  std::vector<std::string> Read() {
    // No receiver is needed where spans are not exported, or are written to a file.
    const auto exporter = settings_.find("trace-exporter");
    if (exporter != settings_.end() && exporter->second == "none") return {};
    if (exporter == settings_.end() && !WantsExport()) return std::move(warnings_);
    if (exporter == settings_.end() || exporter->second == "otlp") ReadReceiver(exporter == settings_.end());
    ReadSampler();
    return std::move(warnings_);
  }

 private:
  // An empty variable counts as not set.
  std::optional<Variable> Find(const std::string& name) const {
    for (const char* const* entry = environment_; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      if (!text.starts_with(name) || text.size() <= name.size() + 1 || text[name.size()] != '=') continue;
      return Variable{name, std::string(text.substr(name.size() + 1))};
    }
    return std::nullopt;
  }
  // Returns the variable for traces, or else the one for everything.
  std::optional<Variable> FindOtlp(const std::string& what) const {
    auto found = Find("OTEL_EXPORTER_OTLP_TRACES_" + what);
    return found.has_value() ? found : Find("OTEL_EXPORTER_OTLP_" + what);
  }

  void PassOver(const Variable& variable, absl::string_view why) {
    warnings_.push_back(absl::StrCat(variable.name, "=", variable.value, " is passed over: ", why));
  }
  void Set(const std::string& option, std::string value) { settings_.emplace(option, std::move(value)); }

  bool WantsExport() {
    const auto disabled = Find("OTEL_SDK_DISABLED");
    if (disabled.has_value() && absl::EqualsIgnoreCase(disabled->value, "true")) return false;
    const auto exporter = Find("OTEL_TRACES_EXPORTER");
    if (!exporter.has_value()) return FindOtlp("ENDPOINT").has_value();
    for (const absl::string_view name : absl::StrSplit(exporter->value, ',')) {
      if (absl::StripAsciiWhitespace(name) == "otlp") return true;
    }
    if (exporter->value != "none") {
      PassOver(*exporter, "predictd exports traces by otlp, or to a file with --trace-exporter file");
    }
    return false;
  }

  // `decides` says that only the variables decide whether to export.
  void ReadReceiver(bool decides) {
    const auto protocol = FindOtlp("PROTOCOL");
    if (protocol.has_value() && protocol->value != "grpc") {
      const bool kept = !decides || settings_.contains("trace-endpoint");
      PassOver(*protocol, kept ? "predictd exports by grpc" : "predictd exports by grpc only, so no trace is exported");
      // The endpoint belongs to the other protocol.
      if (!kept) return;
    } else if (const auto endpoint = FindOtlp("ENDPOINT"); endpoint.has_value() && !ReadEndpoint(*endpoint)) {
      PassOver(*endpoint, "expected http://HOST:PORT or https://HOST:PORT");
      if (decides) return;
    }
    if (decides) Set("trace-exporter", "otlp");
    if (const auto timeout = FindOtlp("TIMEOUT")) ReadTimeout(*timeout);
  }

  bool ReadEndpoint(const Variable& variable) {
    std::string_view rest = variable.value;
    std::string scheme = "https://";
    if (rest.starts_with("http://") || rest.starts_with("https://")) {
      scheme = std::string(rest.substr(0, rest.find("://") + 3));
      rest.remove_prefix(scheme.size());
    } else if (rest.find("://") != std::string_view::npos) {
      return false;
    } else if (const auto insecure = FindOtlp("INSECURE");
               insecure.has_value() && absl::EqualsIgnoreCase(insecure->value, "true")) {
      scheme = "http://";
    }
    while (rest.ends_with('/')) rest.remove_suffix(1);
    if (rest.empty() || rest.find_first_of("/?#@ ") != std::string_view::npos) return false;
    const size_t colon = rest.rfind(':');
    const bool has_port = colon != std::string_view::npos && rest.find(']', colon) == std::string_view::npos;
    if (has_port) {
      const std::optional<int64_t> port = ParseWholeNumber(rest.substr(colon + 1));
      if (colon == 0 || !port.has_value() || *port < 1 || *port > 65535) return false;
    }
    Set("trace-endpoint", scheme + std::string(rest) + (has_port ? "" : ":4317"));
    return true;
  }

  // The value is in milliseconds, by OpenTelemetry's rules.
  void ReadTimeout(const Variable& variable) {
    const std::optional<int64_t> milliseconds = ParseWholeNumber(variable.value);
    const std::optional<absl::Duration> length =
        milliseconds.has_value() ? std::optional(absl::Milliseconds(*milliseconds)) : ParseLengthOfTime(variable.value);
    if (!length.has_value() || *length < absl::Milliseconds(1)) {
      return PassOver(variable, "expected milliseconds, 1 or more");
    }
    Set("trace-timeout", absl::FormatDuration(std::min(*length, kMostTimeout)));
  }

  void ReadSampler() {
    const auto sampler = Find("OTEL_TRACES_SAMPLER");
    if (!sampler.has_value()) return;
    absl::string_view name = sampler->value;
    const bool parents_decide = absl::ConsumePrefix(&name, "parentbased_");
    std::string ratio;
    if (name == "always_on" || name == "always_off") {
      ratio = name == "always_on" ? "1" : "0";
    } else if (name == "traceidratio") {
      const auto argument = Find("OTEL_TRACES_SAMPLER_ARG");
      const std::optional<double> part = argument.has_value() ? ParseNumber(argument->value) : 1;
      if (!part.has_value() || *part < 0 || *part > 1) return PassOver(*argument, "expected a number from 0 to 1");
      ratio = argument.has_value() ? argument->value : "1";
    } else {
      return PassOver(*sampler, "expected always_on, always_off or traceidratio, with or without parentbased_ before");
    }
    Set("trace-sample-ratio", std::move(ratio));
    // A caller's traceparent then forces nothing.
    if (!parents_decide) Set("trace-max-forced-per-second", "0");
  }

  const char* const* const environment_;
  std::map<std::string, std::string>& settings_;
  std::vector<std::string> warnings_;
};

}  // namespace

std::vector<std::string> AddOtelSettings(const char* const* environment, std::map<std::string, std::string>& settings) {
  return OtelReader(environment, settings).Read();
}

}  // namespace predictd
