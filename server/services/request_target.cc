#include "server/services/request_target.h"

#include "absl/strings/str_cat.h"
#include "server/engine/inference.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

constexpr size_t kMaxRequestId = 128;

absl::Status CheckKind(const v1::PredictRequest& request, const ServedVersion& version) {
  const bool generator = version.config().generator.has_value();
  if (!generator && request.has_generation()) {
    return absl::FailedPreconditionError(absl::StrCat("model '", version.model(),
                                                      "' takes tensors: put them into inputs, and leave out "
                                                      "generation"));
  }
  if (generator && !request.has_generation()) {
    return absl::FailedPreconditionError(
        absl::StrCat("model '", version.model(), "' generates text: put the prompt into generation"));
  }
  if (generator && (request.inputs_size() > 0 || request.outputs_size() > 0)) {
    return absl::FailedPreconditionError(
        absl::StrCat("model '", version.model(), "' generates text: it has no inputs and outputs"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServedVersion>> FindVersion(absl::string_view model, int64_t version,
                                                                 absl::string_view label, const CatalogSnapshot& models,
                                                                 RequestSubject& subject) {
  absl::StatusOr<std::shared_ptr<const ServedModel>> found = models.Find(model);
  if (!found.ok()) return found.status();
  subject.model = *std::move(found);
  absl::StatusOr<std::shared_ptr<const ServedVersion>> chosen =
      label.empty() ? subject.model->Choose(version) : subject.model->Choose(label);
  if (chosen.ok()) subject.version = (*chosen)->number();
  return chosen;
}

absl::StatusOr<std::shared_ptr<const ServedVersion>> FindTarget(const v1::PredictRequest& request,
                                                                absl::string_view prefix, const CatalogSnapshot& models,
                                                                RequestSubject& subject) {
  subject.request_id = ShownRequestId(request.request_id());
  FieldErrors errors;
  if (request.model_name().empty()) {
    errors.Add(absl::StrCat(prefix, "model_name"), "expected the name of a model, got none");
  }
  if (request.model_version() < 0) {
    errors.Add(absl::StrCat(prefix, "model_version"),
               absl::StrCat("expected 0 or a version, got ", request.model_version()));
  }
  if (request.model_version() != 0 && !request.model_label().empty()) {
    errors.Add(absl::StrCat(prefix, "model_label"), "expected none beside a model_version");
  }
  if (!errors.empty()) return errors.ToStatus();
  absl::StatusOr<std::shared_ptr<const ServedVersion>> version =
      FindVersion(request.model_name(), request.model_version(), request.model_label(), models, subject);
  if (!version.ok()) return version.status();
  if (absl::Status status = CheckKind(request, **version); !status.ok()) return status;
  return version;
}

std::string ShownRequestId(const std::string& id) {
  return ToUtf8(id, kMaxRequestId);
}

std::string ReadRequestId(const std::string& id, absl::string_view path, FieldErrors& errors) {
  if (id.size() > kMaxRequestId) {
    errors.Add(path, absl::StrCat("expected at most ", kMaxRequestId, " bytes, got ", id.size()));
  }
  return id;
}

int64_t ReadPriority(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors) {
  const int64_t priority = parameter.int64_value();
  if (parameter.value_case() != v1::Parameter::kInt64Value || priority < 0 || priority > kMaxPriority) {
    errors.Add(path, absl::StrCat("expected an int64_value from 0 to ", kMaxPriority));
  }
  return priority;
}

bool ReadFlag(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors) {
  if (parameter.value_case() != v1::Parameter::kBoolValue) errors.Add(path, "expected a bool_value");
  return parameter.bool_value();
}

}  // namespace predictd
