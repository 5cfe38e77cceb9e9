#ifndef PREDICTD_SERVER_MODEL_CHECK_H_
#define PREDICTD_SERVER_MODEL_CHECK_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"
#include "server/config/server_config.h"

namespace predictd {

// These let the author of a model's folder know whether a server will take it, and what it will say of it.

// Reads the folder as the server does before it runs the model: model.toml, the versions, and a generator's tokenizer
// and chat template. Returns a line that describes what was read, or the reason why the server would refuse the folder.
absl::StatusOr<std::string> CheckModelFiles(const std::filesystem::path& folder);

// What the check of a whole model found, each in lines. `wrong` is empty if nothing is.
struct ModelCheck {
  std::string found = {};
  std::string wrong = {};
};

// Reads the folder config.check_model, loads all versions that a server with this configuration would load, warms them
// up, and compares them with model.toml. Takes seconds, and all cores.
ModelCheck CheckModel(const ServerConfig& config);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_CHECK_H_
