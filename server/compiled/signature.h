#ifndef PREDICTD_SERVER_COMPILED_SIGNATURE_H_
#define PREDICTD_SERVER_COMPILED_SIGNATURE_H_

#include <cstddef>
#include <vector>

#include "absl/status/statusor.h"
#include "server/compiled/call_spec.h"
#include "server/compiled/source.h"
#include "server/model/input_limits.h"
#include "server/model/signature.h"

namespace predictd {

// How a model's signature and the compiled code that is to serve it correspond.
struct CompiledSignature {
  // For each input of the code its argument: an input or a mask of the signature, in the order of model.toml.
  std::vector<size_t> arguments;
  // For each output of the signature its output of the code.
  std::vector<size_t> outputs;
  // The limits that requests must keep beyond the signature.
  InputLimits limits;
  // The same limits for the arguments of a run, as the code sees them.
  InputLimits run_limits;
};

// Pairs the two: by the names that the package knows (those of keyword arguments and of dicts), otherwise by position.
// FAILED_PRECONDITION, with both sides, unless the code was compiled for every request that the signature allows, in
// batches of every allowed size, except for requests that the limits refuse.
absl::StatusOr<CompiledSignature> FitSignature(const CompiledSource& source, const std::vector<SpecLeaf>& inputs,
                                               const std::vector<SpecLeaf>& outputs, const Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_SIGNATURE_H_
