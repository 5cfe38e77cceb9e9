#ifndef PREDICTD_SERVER_TORCH_OPERATORS_H_
#define PREDICTD_SERVER_TORCH_OPERATORS_H_

// What LibTorch's operators do beyond what their schemas say. Operators are named as in "aten::dropout". Private to the
// predictd_torch target.

#include <string_view>

namespace predictd {

// Whether the operator always draws random numbers, whatever its arguments.
bool DrawsRandomNumbers(std::string_view operation);

// The argument that makes the operator draw random numbers if it is true, or not 0; empty if there is none.
std::string_view DrawsIf(std::string_view operation);

// Whether the operator may return its argument, or a part or a view of it, although its schema does not say so.
bool MayReturnArgument(std::string_view operation);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_OPERATORS_H_
