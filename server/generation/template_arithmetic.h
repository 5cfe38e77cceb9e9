#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_ARITHMETIC_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_ARITHMETIC_H_

#include "absl/status/statusor.h"
#include "server/generation/template_ast.h"
#include "server/generation/template_run.h"
#include "server/generation/template_value.h"

namespace predictd {

// Python's operators on numbers; + on strings and lists, * of those and a number. INTERNAL for other types, a division
// by 0, and integers of more than 64 bits.
absl::StatusOr<TemplateValue> Calculate(TemplateRun& run, ArithmeticOperator op, const TemplateValue& left,
                                        const TemplateValue& right);
absl::StatusOr<TemplateValue> Negate(const TemplateValue& value);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_ARITHMETIC_H_
