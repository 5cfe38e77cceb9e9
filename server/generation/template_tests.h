#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_TESTS_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_TESTS_H_

#include "absl/strings/string_view.h"
#include "server/generation/template_value.h"

namespace predictd {

// What follows `is` in a chat template, as Jinja has it; nullptr if there is none of that name. The result is a bool.
TemplateOperation FindTemplateTest(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_TESTS_H_
