#ifndef PREDICTD_SERVER_TEMPLATE_TESTS_H_
#define PREDICTD_SERVER_TEMPLATE_TESTS_H_

#include "absl/strings/string_view.h"
#include "server/template/value.h"

namespace predictd {

// The test with that name, which follows `is` in a chat template, as defined by Jinja; nullptr if there is none. The
// result is a bool.
TemplateOperation FindTemplateTest(absl::string_view name);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_TESTS_H_
