#ifndef PREDICTD_SERVER_COMPILED_SIZE_EXPRESSION_H_
#define PREDICTD_SERVER_COMPILED_SIZE_EXPRESSION_H_

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace predictd {

// An extent or a stride as AOTInductor writes it: "4L", "s77", "2L*s39 + 1L", "s3*s5". It is a sum of products of
// integers and symbols, each of which stands for an extent that the caller chooses.
class SizeExpression {
 public:
  // nullopt for expressions with other operations.
  static std::optional<SizeExpression> Parse(absl::string_view text);

  // The number, if the expression contains no symbol.
  std::optional<int64_t> constant() const;

  // factor * symbol + offset, with a factor of at least 1.
  struct Linear {
    std::string symbol;
    int64_t factor = 1;
    int64_t offset = 0;
  };
  std::optional<Linear> linear() const;

  // nullopt if a symbol has no value, or if the result is too large for an extent.
  std::optional<int64_t> Evaluate(const std::map<std::string, int64_t>& symbols) const;

 private:
  // Factors by their sorted symbols, each symbol as often as it occurs in the product.
  using Terms = std::map<std::vector<std::string>, int64_t>;
  class Parser;

  Terms terms_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_SIZE_EXPRESSION_H_
