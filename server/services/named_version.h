#ifndef PREDICTD_SERVER_SERVICES_NAMED_VERSION_H_
#define PREDICTD_SERVER_SERVICES_NAMED_VERSION_H_

#include <memory>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "server/rpc/call.h"
#include "server/serving/catalog.h"

namespace predictd {

// What a call asks about that names a model and maybe a version of it, which need not be ready.
struct NamedVersion {
  std::shared_ptr<const ServedModel> model;
  // Of the model. Null if none was named and none is ready.
  const ServedVersion* version = nullptr;

  bool ready() const { return version != nullptr && version->state() == VersionState::kReady; }
  // UNAVAILABLE if there is neither a version nor a model.toml that says how to run one.
  absl::Status CheckConfigured() const { return version == nullptr ? model->CheckConfigured() : absl::OkStatus(); }
  // These may be called only if that is OK: the version's if there is one, or else what model.toml says.
  const ModelConfig& config() const { return version == nullptr ? model->config() : version->config(); }
  const Signature& signature() const { return ready() ? version->signature() : config().signature; }
  // The name of what runs the version, and that of its file; empty if there is no file that tells.
  std::string backend() const { return has_file() ? version->entry().backend->name : ""; }
  std::string file_name() const { return has_file() ? version->entry().backend->file_name : ""; }
  bool has_file() const { return version != nullptr && version->entry().status.ok(); }
};

// Finds it, and records it in the call's report. `version` is as the Open Inference Protocol writes it.
// INVALID_ARGUMENT for the fields `name` and `version`; NOT_FOUND as the catalog says.
absl::StatusOr<NamedVersion> FindNamedVersion(Call& call, const std::string& name, const std::string& version,
                                              const CatalogSnapshot& models);

// Why a model or version failed, as callers may see it. It may contain file names, which may not be valid UTF-8.
std::string ShownReason(std::string_view reason);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_NAMED_VERSION_H_
