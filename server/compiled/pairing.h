#ifndef PREDICTD_SERVER_COMPILED_PAIRING_H_
#define PREDICTD_SERVER_COMPILED_PAIRING_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "server/compiled/call_spec.h"
#include "server/compiled/source.h"

namespace predictd {

// These find out which names of model.toml mean which inputs and outputs of a package's code. The leaves are those of
// its call spec. FAILED_PRECONDITION as MatchNames has it, or if code and call spec do not agree.

// For each input of the code the index of its name.
absl::StatusOr<std::vector<size_t>> PairInputs(const CompiledSource& source, const std::vector<SpecLeaf>& leaves,
                                               const std::vector<std::string>& names);

// For each name the index of its output of the code.
absl::StatusOr<std::vector<size_t>> PairOutputs(const CompiledSource& source, const std::vector<SpecLeaf>& leaves,
                                                const std::vector<std::string>& names);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_PAIRING_H_
