#include "server/template/functions.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/template/arguments.h"
#include "server/template/print.h"
#include "server/template/run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

Result Range(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"start", "stop", "step"}, 1);
  if (!bound.ok()) return bound.status();
  const bool has_start = (*bound)[1] != nullptr;
  const absl::StatusOr<int64_t> start = IntegerArgument(has_start ? (*bound)[0] : nullptr, 0);
  if (!start.ok()) return start.status();
  const absl::StatusOr<int64_t> stop = IntegerArgument((*bound)[has_start ? 1 : 0], 0);
  if (!stop.ok()) return stop.status();
  const absl::StatusOr<int64_t> step = IntegerArgument((*bound)[2], 1);
  if (!step.ok()) return step.status();
  if (*step == 0) return absl::InternalError("a range's step must not be 0");
  std::vector<TemplateValue> items;
  for (int64_t number = *start; *step > 0 ? number < *stop : number > *stop;) {
    if (absl::Status status = run.Charge(TemplateRun::kStepsPerItem); !status.ok()) return status;
    items.emplace_back(number);
    if (__builtin_add_overflow(number, *step, &number)) break;
  }
  return run.NewList(std::move(items));
}

Result Namespace(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  TemplateNamespace* space = run.NewNamespace();
  for (const TemplateValue& values : arguments.positional) {
    if (values.AsDict() == nullptr) return absl::InternalError(absl::StrCat("expected dict, got ", Describe(values)));
    for (const auto& [key, value] : values.AsDict()->entries) {
      if (key.AsText() == nullptr) return absl::InternalError(absl::StrCat("expected str as key, got ", Describe(key)));
      if (absl::Status status = run.ChargeLookup(space->attributes.size()); !status.ok()) return status;
      if (absl::Status status = run.ChargeBytes(key.AsText()->size()); !status.ok()) return status;
      space->Set(key.AsText()->text(), value);
    }
  }
  for (const auto& [name, value] : arguments.named) {
    if (absl::Status status = run.ChargeLookup(space->attributes.size()); !status.ok()) return status;
    space->Set(name, value);
  }
  return space;
}

Result RaiseException(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"message"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<TemplateString> message = ToText(run, *bound->front());
  if (!message.ok()) return message.status();
  return absl::InvalidArgumentError(message->text());
}

// Appends the result of one directive of strftime; `directive` is without the %.
void AppendTime(const std::string& directive, const std::tm& time, std::string& text) {
  // In the C locale, the output of every directive is shorter than this.
  char buffer[128];
  buffer[0] = '\0';
  const size_t length = strftime(buffer, sizeof(buffer), absl::StrCat("%", directive).c_str(), &time);
  text.append(buffer, length);
}

// datetime.now().strftime(format), in the server's time zone.
Result StrftimeNow(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  using std::chrono::system_clock;
  const auto bound = arguments.Bind({"format"}, 1);
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<const TemplateString*> format = TextArgument(bound->front());
  if (!format.ok()) return format.status();
  if (*format == nullptr) return absl::InternalError("expected str as argument, got None");
  const std::string& written = (*format)->text();
  const std::time_t seconds = system_clock::to_time_t(run.now());
  std::tm time{};
  localtime_r(&seconds, &time);
  std::string text;
  for (size_t at = 0; at < written.size(); ++at) {
    if (absl::Status status = run.Charge(1); !status.ok()) return status;
    const size_t flag =
        written[at] == '%' && at + 2 < written.size() && absl::StrContains("-_0^#", written.substr(at + 1, 1)) ? 1 : 0;
    if (written[at] != '%' || at + 1 + flag >= written.size()) {
      text.push_back(written[at]);
      continue;
    }
    // The output of a directive is longer than the directive.
    if (absl::Status status = run.Charge(TemplateRun::kStepsPerText); !status.ok()) return status;
    const std::string directive = written.substr(at + 1, 1 + flag);
    at += 1 + flag;
    if (directive == "f") {
      const auto part = run.now().time_since_epoch() % std::chrono::seconds(1);
      absl::StrAppendFormat(&text, "%06d", std::chrono::duration_cast<std::chrono::microseconds>(part).count());
    } else if (directive != "z" && directive != "Z") {
      // A time without a zone prints none.
      AppendTime(directive, time, text);
    }
  }
  const bool trusted = (*format)->trusted().size() == 1 && (*format)->trusted().front().end == written.size() &&
                       (*format)->trusted().front().begin == 0;
  return trusted ? TemplateString::Trusted(text) : TemplateString::Untrusted(text);
}

Result Dict(TemplateRun& run, const TemplateValue& /*self*/, const TemplateArguments& arguments) {
  if (arguments.positional.size() > 1) return absl::InternalError("dict expected at most 1 argument");
  TemplateDict* const dict = run.NewDict();
  if (!arguments.positional.empty()) {
    const TemplateDict* const from = arguments.positional.front().AsDict();
    if (from == nullptr) {
      return absl::InternalError(absl::StrCat("expected dict, got ", Describe(arguments.positional.front())));
    }
    if (absl::Status status = run.Charge(from->entries.size() * 2 * TemplateRun::kStepsPerItem); !status.ok())
      return status;
    *dict = *from;
  }
  for (const auto& [name, value] : arguments.named) {
    if (absl::Status status = run.ChargeLookup(dict->entries.size()); !status.ok()) return status;
    const auto entry = std::find_if(dict->entries.begin(), dict->entries.end(), [&name = name](const auto& known) {
      return known.first.AsText() != nullptr && known.first.AsText()->text() == name;
    });
    if (entry != dict->entries.end()) {
      entry->second = value;
    } else {
      dict->entries.emplace_back(TemplateString::Trusted(name), value);
    }
  }
  return dict;
}

}  // namespace

TemplateOperation FindTemplateFunction(absl::string_view name) {
  if (name == "range") return Range;
  if (name == "namespace") return Namespace;
  if (name == "raise_exception") return RaiseException;
  if (name == "strftime_now") return StrftimeNow;
  if (name == "dict") return Dict;
  return nullptr;
}

}  // namespace predictd
