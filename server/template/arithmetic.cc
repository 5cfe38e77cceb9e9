#include "server/template/arithmetic.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

absl::Status TooLarge() {
  return absl::InternalError("an integer needs more than 64 bits");
}
absl::Status DivisionByZero() {
  return absl::InternalError("division by zero");
}

// Python rounds down, and its remainder has the sign of the divisor.
int64_t FloorDivide(int64_t a, int64_t b) {
  return a / b - ((a % b != 0 && (a < 0) != (b < 0)) ? 1 : 0);
}

Result PowerOfNumbers(double base, double exponent) {
  if (base == 0 && exponent < 0) return DivisionByZero();
  const double power = std::pow(base, exponent);
  // The power of a negative number may be complex.
  if (std::isfinite(power) || !std::isfinite(base) || !std::isfinite(exponent)) return power;
  return absl::InternalError("the power is no number");
}

Result Power(int64_t base, int64_t exponent) {
  if (exponent < 0) return PowerOfNumbers(static_cast<double>(base), static_cast<double>(exponent));
  int64_t power = 1;
  // Powers of all other numbers overflow soon.
  if (base >= -1 && base <= 1) exponent = exponent == 0 ? 0 : 2 - exponent % 2;
  for (; exponent > 0; --exponent) {
    if (__builtin_mul_overflow(power, base, &power)) return TooLarge();
  }
  return power;
}

Result OfIntegers(ArithmeticOperator op, int64_t a, int64_t b) {
  int64_t result = 0;
  switch (op) {
    case ArithmeticOperator::kAdd:
      if (__builtin_add_overflow(a, b, &result)) return TooLarge();
      return result;
    case ArithmeticOperator::kSubtract:
      if (__builtin_sub_overflow(a, b, &result)) return TooLarge();
      return result;
    case ArithmeticOperator::kMultiply:
      if (__builtin_mul_overflow(a, b, &result)) return TooLarge();
      return result;
    case ArithmeticOperator::kDivide:
      if (b == 0) return DivisionByZero();
      return static_cast<double>(a) / static_cast<double>(b);
    case ArithmeticOperator::kFloorDivide:
    case ArithmeticOperator::kModulo:
      if (b == 0) return DivisionByZero();
      // Dividing the least integer by -1 is the only quotient that does not fit.
      if (b == -1) return op == ArithmeticOperator::kModulo ? Result(int64_t{0}) : Negate(a);
      if (op == ArithmeticOperator::kFloorDivide) return FloorDivide(a, b);
      return a - FloorDivide(a, b) * b;
    case ArithmeticOperator::kPower:
      return Power(a, b);
  }
  return TooLarge();
}

Result OfNumbers(ArithmeticOperator op, double a, double b) {
  const bool divides =
      op == ArithmeticOperator::kDivide || op == ArithmeticOperator::kFloorDivide || op == ArithmeticOperator::kModulo;
  if (divides && b == 0) return DivisionByZero();
  switch (op) {
    case ArithmeticOperator::kAdd:
      return a + b;
    case ArithmeticOperator::kSubtract:
      return a - b;
    case ArithmeticOperator::kMultiply:
      return a * b;
    case ArithmeticOperator::kDivide:
      return a / b;
    case ArithmeticOperator::kFloorDivide:
      return std::floor(a / b);
    case ArithmeticOperator::kPower:
      return PowerOfNumbers(a, b);
    case ArithmeticOperator::kModulo:
      break;
  }
  const double remainder = std::fmod(a, b);
  return remainder != 0 && (remainder < 0) != (b < 0) ? remainder + b : remainder;
}

Result Add(TemplateRun& run, const TemplateString& left, const TemplateString& right) {
  if (absl::Status status = run.ChargeBytes(left.cost() + right.cost()); !status.ok()) return status;
  TemplateString text = left;
  text.Append(right);
  return text;
}

Result Add(TemplateRun& run, const TemplateList& left, const TemplateList& right) {
  const size_t size = left.items.size() + right.items.size();
  if (absl::Status status = run.Charge(size * TemplateRun::kStepsPerItem); !status.ok()) return status;
  std::vector<TemplateValue> items;
  items.reserve(size);
  items.insert(items.end(), left.items.begin(), left.items.end());
  items.insert(items.end(), right.items.begin(), right.items.end());
  return run.NewList(std::move(items), left.is_tuple);
}

// Charges for `count` copies of something that costs `steps`, before any copy is made.
absl::Status ChargeCopies(TemplateRun& run, size_t steps, int64_t count) {
  size_t all = 0;
  if (__builtin_mul_overflow(steps, static_cast<size_t>(count), &all)) all = std::numeric_limits<int64_t>::max() / 2;
  return run.Charge(all);
}

Result Repeat(TemplateRun& run, const TemplateValue& value, int64_t count) {
  count = std::max<int64_t>(count, 0);
  if (const TemplateString* text = value.AsText()) {
    // The one step that each copy takes at least pays for its first range of trusted bytes.
    const size_t ranges = std::max<size_t>(text->trusted().size(), 1) - 1;
    const size_t steps = (text->size() + ranges * sizeof(TextRange)) / TemplateRun::kBytesPerStep + 1;
    if (absl::Status status = ChargeCopies(run, steps, count); !status.ok()) return status;
    TemplateString copies;
    for (int64_t i = 0; i < count; ++i) copies.Append(*text);
    return copies;
  }
  const TemplateList& list = *value.AsList();
  if (absl::Status status = ChargeCopies(run, list.items.size() * TemplateRun::kStepsPerItem + 1, count); !status.ok())
    return status;
  std::vector<TemplateValue> items;
  for (int64_t i = 0; i < count; ++i) items.insert(items.end(), list.items.begin(), list.items.end());
  return run.NewList(std::move(items), list.is_tuple);
}

}  // namespace

absl::StatusOr<TemplateValue> Calculate(TemplateRun& run, ArithmeticOperator op, const TemplateValue& left,
                                        const TemplateValue& right) {
  if (left.AsInteger().has_value() && right.AsInteger().has_value()) {
    return OfIntegers(op, *left.AsInteger(), *right.AsInteger());
  }
  if (left.AsNumber().has_value() && right.AsNumber().has_value()) {
    return OfNumbers(op, *left.AsNumber(), *right.AsNumber());
  }
  if (op == ArithmeticOperator::kAdd) {
    if (left.AsText() != nullptr && right.AsText() != nullptr) return Add(run, *left.AsText(), *right.AsText());
    if (left.AsList() != nullptr && right.AsList() != nullptr && left.AsList()->is_tuple == right.AsList()->is_tuple) {
      return Add(run, *left.AsList(), *right.AsList());
    }
  }
  if (op == ArithmeticOperator::kMultiply) {
    const auto is_repeatable = [](const TemplateValue& value) {
      return value.AsText() != nullptr || value.AsList() != nullptr;
    };
    if (is_repeatable(left) && right.AsInteger().has_value()) return Repeat(run, left, *right.AsInteger());
    if (is_repeatable(right) && left.AsInteger().has_value()) return Repeat(run, right, *left.AsInteger());
  }
  return absl::InternalError(absl::StrCat("cannot calculate with ", Describe(left), " and ", Describe(right)));
}

absl::StatusOr<TemplateValue> Negate(const TemplateValue& value) {
  if (const std::optional<int64_t> integer = value.AsInteger()) {
    if (*integer == std::numeric_limits<int64_t>::min()) return TooLarge();
    return -*integer;
  }
  if (const std::optional<double> number = value.AsNumber()) return -*number;
  return absl::InternalError(absl::StrCat("cannot negate ", Describe(value)));
}

}  // namespace predictd
