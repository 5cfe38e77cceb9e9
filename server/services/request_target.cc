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

absl::string_view KeyInMetadata(ServedRequest* request) {
  if (request == nullptr) return "";
  const ClientMetadata& metadata = request->metadata();
  const auto found = metadata.find(kTrafficKeyMetadata);
  return found == metadata.end() ? absl::string_view() : absl::string_view(found->second.data(), found->second.size());
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ServedVersion>> FindVersion(const WantedVersion& wanted,
                                                                 const CatalogSnapshot& models,
                                                                 RequestSubject& subject) {
  absl::StatusOr<std::shared_ptr<const ServedModel>> found = models.Find(wanted.model);
  if (!found.ok()) return found.status();
  subject.model = *std::move(found);
  subject.routed = wanted.label.empty() && wanted.number == 0;
  absl::StatusOr<std::shared_ptr<const ServedVersion>> chosen;
  if (!wanted.label.empty()) {
    chosen = subject.model->Choose(wanted.label);
  } else if (subject.routed && subject.model->traffic() != nullptr) {
    const bool has_key = !wanted.traffic_key.empty();
    chosen = subject.model->Route(has_key ? wanted.traffic_key : KeyInMetadata(subject.request));
  } else {
    chosen = subject.model->Choose(wanted.number);
  }
  if (chosen.ok()) {
    subject.version = (*chosen)->number();
    (*chosen)->NoteUse();
  }
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
  WantedVersion wanted = {
      .model = request.model_name(), .number = request.model_version(), .label = request.model_label()};
  if (!request.parameters().empty()) {
    const auto key = request.parameters().find(kTrafficKey);
    if (key != request.parameters().end()) wanted.traffic_key = key->second.string_value();
  }
  absl::StatusOr<std::shared_ptr<const ServedVersion>> version = FindVersion(wanted, models, subject);
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

void CheckTrafficKey(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors) {
  if (parameter.value_case() != v1::Parameter::kStringValue) errors.Add(path, "expected a string_value");
}

bool ReadFlag(const v1::Parameter& parameter, const std::string& path, FieldErrors& errors) {
  if (parameter.value_case() != v1::Parameter::kBoolValue) errors.Add(path, "expected a bool_value");
  return parameter.bool_value();
}

}  // namespace predictd
