#include "server/template/number_filters.h"

#include <cmath>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/template/arguments.h"
#include "server/template/arithmetic.h"
#include "server/template/run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

Result IntFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"default"});
  if (!bound.ok()) return bound.status();
  if (self.AsUndefined() != nullptr)
    return absl::InternalError(absl::StrCat("expected a number, got ", Describe(self)));
  if (self.AsInteger().has_value()) return *self.AsInteger();
  std::optional<double> number = self.AsNumber();
  if (const TemplateString* text = self.AsText()) {
    if (absl::Status status = run.ChargeBytes(text->size()); !status.ok()) return status;
    int64_t integer = 0;
    if (absl::SimpleAtoi(text->text(), &integer)) return integer;
    double parsed = 0;
    if (absl::SimpleAtod(text->text(), &parsed)) number = parsed;
  }
  // This is what int64_t can hold.
  if (number.has_value() && std::fabs(*number) < 0x1p63) return static_cast<int64_t>(*number);
  return (*bound)[0] != nullptr ? *(*bound)[0] : TemplateValue(int64_t{0});
}

Result FloatFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"default"});
  if (!bound.ok()) return bound.status();
  if (self.AsUndefined() != nullptr)
    return absl::InternalError(absl::StrCat("expected a number, got ", Describe(self)));
  if (const std::optional<double> number = self.AsNumber()) return *number;
  if (const TemplateString* text = self.AsText()) {
    if (absl::Status status = run.ChargeBytes(text->size()); !status.ok()) return status;
    double parsed = 0;
    if (absl::SimpleAtod(text->text(), &parsed)) return parsed;
  }
  return (*bound)[0] != nullptr ? *(*bound)[0] : TemplateValue(0.0);
}

Result AbsFilter(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  const std::optional<double> number = self.AsNumber();
  if (!number.has_value()) return absl::InternalError(absl::StrCat("expected a number, got ", Describe(self)));
  if (*number < 0) return Negate(self);
  return self.AsInteger().has_value() ? TemplateValue(*self.AsInteger()) : self;
}

// Rounds a number exactly in the middle to its even neighbour, as printing a double's decimal digits does.
Result RoundFilter(TemplateRun& /*run*/, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"precision", "method"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<int64_t> precision = IntegerArgument((*bound)[0], 0);
  if (!precision.ok()) return precision.status();
  const absl::StatusOr<const TemplateString*> method = TextArgument((*bound)[1]);
  if (!method.ok()) return method.status();
  const std::string how = *method != nullptr ? (*method)->text() : "common";
  const std::optional<double> number = self.AsNumber();
  if (!number.has_value() || *precision < 0 || *precision > 15) {
    return absl::InternalError(absl::StrCat("cannot round ", Describe(self), " to ", *precision, " digits"));
  }
  if (how == "common") {
    if (self.AsInteger().has_value()) return *self.AsInteger();
    double rounded = 0;
    if (!absl::SimpleAtod(absl::StrFormat("%.*f", static_cast<int>(*precision), *number), &rounded)) return self;
    return rounded;
  }
  const double scale = std::pow(10.0, static_cast<double>(*precision));
  if (how == "ceil") return std::ceil(*number * scale) / scale;
  if (how == "floor") return std::floor(*number * scale) / scale;
  return absl::InternalError("expected common, ceil or floor as method");
}

}  // namespace

TemplateOperation FindTemplateNumberFilter(absl::string_view name) {
  constexpr std::pair<absl::string_view, TemplateOperation> kFilters[] = {
      {"int", IntFilter}, {"float", FloatFilter}, {"abs", AbsFilter}, {"round", RoundFilter}};
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace predictd
