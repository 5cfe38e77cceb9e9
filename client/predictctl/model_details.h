// All details of a model.
#ifndef PREDICTD_CLIENT_PREDICTCTL_MODEL_DETAILS_H_
#define PREDICTD_CLIENT_PREDICTCTL_MODEL_DETAILS_H_

#include <cstddef>
#include <ostream>
#include <string>

#include "predictd/v1/model_service.pb.h"

namespace predictd {

// The width that fits on most terminals.
inline constexpr std::size_t kScreenColumns = 100;

// "tensor", "ready", "FP32[-1,64]".
std::string KindText(v1::ModelKind kind);
std::string StateText(v1::ModelState state);
std::string TypeText(const v1::TensorSpec& spec);

// Whether the model is not to serve, and no longer does.
bool IsUnloaded(const v1::Model& model);

// Prints "1 failed: REASON" for each version that is not ready and has a reason, or "failed: REASON" if the model as a
// whole failed, each after `prefix`. Long reasons continue on further lines.
void PrintReasons(const v1::Model& model, const std::string& prefix, std::ostream& out);

// Prints versions, traffic, signature and limits.
void PrintDetails(const v1::Model& model, std::ostream& out);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_MODEL_DETAILS_H_
