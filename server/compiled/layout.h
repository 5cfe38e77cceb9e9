#ifndef PREDICTD_SERVER_COMPILED_LAYOUT_H_
#define PREDICTD_SERVER_COMPILED_LAYOUT_H_

#include "server/compiled/source.h"

namespace predictd {

// Whether compiled code takes the input in C order, as our tensors lie in memory.
bool IsInCOrder(const CompiledInput& input);

// Whether a copy of the input can have the layout that the code takes: without gaps, in any order of its dimensions.
bool CanBeLaidOut(const CompiledInput& input);

}  // namespace predictd

#endif  // PREDICTD_SERVER_COMPILED_LAYOUT_H_
