#ifndef PREDICTD_SERVER_COMPILED_ARGUMENTS_H_
#define PREDICTD_SERVER_COMPILED_ARGUMENTS_H_

#include <cstddef>
#include <optional>
#include <vector>

#include "server/model/signature.h"

namespace predictd {

// An argument of the model: an input that callers send, or a mask.
struct Argument {
  TensorSpec spec;
  // The input that determines its lengths: the argument itself, or the input that it masks.
  size_t input = 0;
  // The dimension that is padded, and the length that it follows.
  std::optional<size_t> padded = {};
  size_t length = 0;
};

// The arguments of a run, in the order of model.toml.
std::vector<Argument> ArgumentsOf(const Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_ARGUMENTS_H_
