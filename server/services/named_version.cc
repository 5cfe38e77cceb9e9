#include "server/services/named_version.h"

#include <utility>

#include "server/services/field_errors.h"
#include "server/services/infer_parameters.h"
#include "server/text/utf8.h"

namespace predictd {

absl::StatusOr<NamedVersion> FindNamedVersion(Call& call, const std::string& name, const std::string& version,
                                              const CatalogSnapshot& models) {
  FieldErrors errors;
  if (name.empty()) errors.Add("name", "expected the name of a model, got none");
  const VersionName wanted = ReadVersion(version, "version", errors);
  if (!errors.empty()) return errors.ToStatus();
  absl::StatusOr<std::shared_ptr<const ServedModel>> model = models.Find(name);
  if (!model.ok()) return model.status();
  int64_t number = wanted.number;
  if (!wanted.label.empty()) {
    const absl::StatusOr<int64_t> labelled = (*model)->Labelled(wanted.label);
    if (!labelled.ok()) return labelled.status();
    number = *labelled;
  }
  call.report().SetModel((*model)->subject(), number);
  NamedVersion named = {.model = *std::move(model)};
  named.version = number == 0 ? named.model->NewestReady() : named.model->Find(number);
  if (number != 0 && named.version == nullptr) return named.model->NoVersion(number);
  return named;
}

std::string ShownReason(std::string_view reason) {
  constexpr size_t kMaxReason = 1024;
  return ToUtf8(reason, kMaxReason);
}

}  // namespace predictd
