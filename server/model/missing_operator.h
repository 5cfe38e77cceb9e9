#ifndef PREDICTD_SERVER_MODEL_MISSING_OPERATOR_H_
#define PREDICTD_SERVER_MODEL_MISSING_OPERATOR_H_

#include "absl/status/status.h"

namespace predictd {

// Explains the error with which LibTorch refused a model. If an operator (or a function) is not registered, returns
// FAILED_PRECONDITION that names it and says how to provide it; otherwise returns the same error.
absl::Status ExplainMissingOperator(absl::Status status);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_MISSING_OPERATOR_H_
