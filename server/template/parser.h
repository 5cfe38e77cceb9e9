#ifndef PREDICTD_SERVER_TEMPLATE_PARSER_H_
#define PREDICTD_SERVER_TEMPLATE_PARSER_H_

// Private to the predictd_generation target, like the JSON library.

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "server/template/ast.h"

namespace predictd {

// Reads a template's statements from a dump of Jinja's syntax tree: a list of objects with "type", which is the name of
// the class in jinja2.nodes, "line", and the fields of that class under their names. Only the nodes, filters and tests
// in the lists of parser.cc are known: INVALID_ARGUMENT names one that is not, and the line.
absl::Status ParseTemplate(const nlohmann::json& body, TemplateProgram& program);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_PARSER_H_
