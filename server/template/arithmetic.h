#ifndef PREDICTD_SERVER_TEMPLATE_ARITHMETIC_H_
#define PREDICTD_SERVER_TEMPLATE_ARITHMETIC_H_

#include "absl/status/statusor.h"
#include "server/template/ast.h"
#include "server/template/run.h"
#include "server/template/value.h"

namespace predictd {

// Python's operators on numbers; + also on strings and on lists, and * on either of those and a number. INTERNAL for
// other types, for a division by 0, and for integers of more than 64 bits.
absl::StatusOr<TemplateValue> Calculate(TemplateRun& run, ArithmeticOperator op, const TemplateValue& left,
                                        const TemplateValue& right);
absl::StatusOr<TemplateValue> Negate(const TemplateValue& value);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_ARITHMETIC_H_
