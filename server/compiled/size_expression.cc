#include "server/compiled/size_expression.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace predictd {
namespace {

// No extent is larger, and products of two of them do not overflow silently.
constexpr int64_t kMost = int64_t{1} << 62;
// More nesting than generated code has; a limit, so that no text can overflow the stack.
constexpr int kMaxExpressionDepth = 32;

std::optional<int64_t> Multiply(int64_t a, int64_t b) {
  int64_t product = 0;
  if (__builtin_mul_overflow(a, b, &product) || product > kMost || product < -kMost) return std::nullopt;
  return product;
}

std::optional<int64_t> Add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (__builtin_add_overflow(a, b, &sum) || sum > kMost || sum < -kMost) return std::nullopt;
  return sum;
}

bool IsNameChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

}  // namespace

class SizeExpression::Parser {
 public:
  explicit Parser(absl::string_view text) : rest_(text) {}

  std::optional<Terms> Parse() {
    std::optional<Terms> sum = Sum(0);
    return Next() == '\0' ? sum : std::nullopt;
  }

 private:
  // The next character that is not a space, or 0 at the end.
  char Next() {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return rest_.empty() ? '\0' : rest_.front();
  }

  std::optional<Terms> Sum(int depth) {
    std::optional<Terms> sum = Product(depth);
    while (sum.has_value() && (Next() == '+' || Next() == '-')) {
      const int64_t sign = rest_.front() == '+' ? 1 : -1;
      rest_.remove_prefix(1);
      const std::optional<Terms> term = Product(depth);
      if (!term.has_value()) return std::nullopt;
      for (const auto& [symbols, factor] : *term) {
        const std::optional<int64_t> total = Add((*sum)[symbols], sign * factor);
        if (!total.has_value()) return std::nullopt;
        (*sum)[symbols] = *total;
      }
    }
    return sum;
  }

  std::optional<Terms> Product(int depth) {
    std::optional<Terms> product = Factor(depth);
    while (product.has_value() && Next() == '*') {
      rest_.remove_prefix(1);
      const std::optional<Terms> factor = Factor(depth);
      if (!factor.has_value()) return std::nullopt;
      product = Times(*product, *factor);
    }
    return product;
  }

  static std::optional<Terms> Times(const Terms& left, const Terms& right) {
    Terms product;
    for (const auto& [left_symbols, left_factor] : left) {
      for (const auto& [right_symbols, right_factor] : right) {
        std::vector<std::string> symbols = left_symbols;
        symbols.insert(symbols.end(), right_symbols.begin(), right_symbols.end());
        std::sort(symbols.begin(), symbols.end());
        const std::optional<int64_t> factor = Multiply(left_factor, right_factor);
        const std::optional<int64_t> total = factor.has_value() ? Add(product[symbols], *factor) : std::nullopt;
        if (!total.has_value()) return std::nullopt;
        product[symbols] = *total;
      }
    }
    return product;
  }

  std::optional<Terms> Factor(int depth) {
    const char next = Next();
    if (depth == kMaxExpressionDepth) return std::nullopt;
    if (next == '(') {
      rest_.remove_prefix(1);
      std::optional<Terms> sum = Sum(depth + 1);
      if (Next() != ')') return std::nullopt;
      rest_.remove_prefix(1);
      return sum;
    }
    if (next == '-') {
      rest_.remove_prefix(1);
      std::optional<Terms> negated = Factor(depth + 1);
      if (!negated.has_value()) return std::nullopt;
      for (auto& [symbols, factor] : *negated) factor = -factor;
      return negated;
    }
    size_t end = 0;
    while (end < rest_.size() && IsNameChar(rest_[end])) ++end;
    absl::string_view word = rest_.substr(0, end);
    rest_.remove_prefix(end);
    if (word.empty()) return std::nullopt;
    if (!absl::ascii_isdigit(static_cast<unsigned char>(word.front()))) {
      // A function call.
      if (Next() == '(') return std::nullopt;
      return Terms{{{std::string(word)}, 1}};
    }
    while (absl::ConsumeSuffix(&word, "L")) {
    }
    int64_t number = 0;
    if (!absl::SimpleAtoi(word, &number) || number > kMost) return std::nullopt;
    return Terms{{{}, number}};
  }

  absl::string_view rest_;
};

std::optional<SizeExpression> SizeExpression::Parse(absl::string_view text) {
  std::optional<Terms> terms = Parser(text).Parse();
  if (!terms.has_value()) return std::nullopt;
  std::erase_if(*terms, [](const auto& term) { return term.second == 0; });
  SizeExpression expression;
  expression.terms_ = *std::move(terms);
  return expression;
}

std::optional<int64_t> SizeExpression::constant() const {
  if (terms_.empty()) return 0;
  if (terms_.size() > 1 || !terms_.begin()->first.empty()) return std::nullopt;
  return terms_.begin()->second;
}

std::optional<SizeExpression::Linear> SizeExpression::linear() const {
  Linear linear;
  for (const auto& [symbols, factor] : terms_) {
    if (symbols.empty()) {
      linear.offset = factor;
    } else if (symbols.size() == 1 && linear.symbol.empty() && factor >= 1) {
      linear.symbol = symbols.front();
      linear.factor = factor;
    } else {
      return std::nullopt;
    }
  }
  if (linear.symbol.empty()) return std::nullopt;
  return linear;
}

std::optional<int64_t> SizeExpression::Evaluate(const std::map<std::string, int64_t>& symbols) const {
  int64_t sum = 0;
  for (const auto& [names, factor] : terms_) {
    std::optional<int64_t> product = factor;
    for (const std::string& name : names) {
      const auto value = symbols.find(name);
      if (value == symbols.end()) return std::nullopt;
      product = Multiply(*product, value->second);
      if (!product.has_value()) return std::nullopt;
    }
    const std::optional<int64_t> total = Add(sum, *product);
    if (!total.has_value()) return std::nullopt;
    sum = *total;
  }
  return sum;
}

}  // namespace predictd
