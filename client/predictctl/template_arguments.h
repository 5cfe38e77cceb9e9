// Variables for a chat template, from the command line.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TEMPLATE_ARGUMENTS_H_
#define PREDICTD_CLIENT_PREDICTCTL_TEMPLATE_ARGUMENTS_H_

#include <google/protobuf/map.h>

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "predictd/v1/generation.pb.h"

namespace predictd {

using TemplateArguments = google::protobuf::Map<std::string, v1::TemplateValue>;

// Each is NAME=JSON; the last of a name counts. INVALID_ARGUMENT says which is not.
absl::StatusOr<TemplateArguments> ReadTemplateArguments(const std::vector<std::string>& arguments);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TEMPLATE_ARGUMENTS_H_
