#include "server/compiled/arguments.h"

#include <utility>

namespace predictd {

std::vector<Argument> ArgumentsOf(const Signature& signature) {
  const Padding& padding = signature.padding;
  std::vector<Argument> arguments;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    Argument argument = {.spec = signature.inputs[i], .input = i};
    if (const PaddedInput* padded = padding.Find(i)) {
      argument.padded = padded->dimension;
      argument.length = padded->length;
    }
    arguments.push_back(std::move(argument));
  }
  for (const PaddingMask& mask : padding.masks) {
    const Argument argument = {.spec = {.name = mask.name, .dtype = mask.dtype, .shape = {-1, -1}},
                               .input = padding.lengths[mask.length].input,
                               .padded = 1,
                               .length = mask.length};
    arguments.insert(arguments.begin() + static_cast<std::ptrdiff_t>(mask.argument), argument);
  }
  return arguments;
}

}  // namespace predictd
