#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_PARSER_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_PARSER_H_

// Private to the predictd_generation target, like the JSON library.

#include <nlohmann/json.hpp>

#include "absl/status/status.h"
#include "server/generation/template_ast.h"

namespace predictd {

// Reads a template's statements from a dump of Jinja's syntax tree: a list of objects with "type", which is the name of
// the class in jinja2.nodes, "line", and the fields of that class under their names. INVALID_ARGUMENT names a node,
// filter or test that is not known, and the line. Only what the lists of this file's source name is.
absl::Status ParseTemplate(const nlohmann::json& body, TemplateProgram& program);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_PARSER_H_
