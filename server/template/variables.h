#ifndef PREDICTD_SERVER_TEMPLATE_VARIABLES_H_
#define PREDICTD_SERVER_TEMPLATE_VARIABLES_H_

#include <string>
#include <vector>

#include "server/template/ast.h"

namespace predictd {

// The names, in order, that a template reads where it has not set them before: the variables that the caller of the
// template may provide. Functions are not included.
std::vector<std::string> FindReadVariables(const TemplateBody& body);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_VARIABLES_H_
