#include "client/predictctl/model_line.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/predictctl/model_details.h"
#include "client/predictctl/traffic_text.h"

namespace predictd {

std::string VersionsText(const v1::Model& model) {
  if (IsUnloaded(model)) return "not loaded";
  return absl::StrJoin(model.versions(), ", ", [](std::string* text, const v1::ModelVersion& version) {
    if (version.version() != 0) absl::StrAppend(text, version.version(), " ");
    absl::StrAppend(text, StateText(version.state()));
  });
}

std::string ModelLine(const v1::Model& model) {
  std::string line = absl::StrCat(model.name(), "  ", VersionsText(model));
  if (model.has_traffic()) absl::StrAppend(&line, "  ", TrafficText(model.traffic()));
  return line;
}

}  // namespace predictd
