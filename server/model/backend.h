#ifndef PREDICTD_SERVER_MODEL_BACKEND_H_
#define PREDICTD_SERVER_MODEL_BACKEND_H_

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/model/generator_model.h"
#include "server/model/model.h"
#include "server/model/model_config.h"

namespace predictd {

// What a backend is told of the server that loads a model with it.
struct ModelLoadOptions {
  // The number of threads that may run the model at once.
  int runners = 1;
  // The folder in which packages are unpacked while they are loaded.
  std::string unpack_dir = "/tmp";
};

// Loads a version of a tensor model from its file. Takes seconds. The error has the cause (not for callers' eyes).
using ModelLoadFunction = std::function<absl::StatusOr<std::unique_ptr<Model>>(
    const std::filesystem::path& file, const ModelConfig& config, const ModelLoadOptions& options)>;

// What runs the models of one format. All that the server knows of a backend is this row of the table that the
// composition root gives it; versions refer to their row, so the table must outlive them.
struct Backend {
  // Its name for callers, as in "torchscript".
  std::string name = {};
  // What its files are, with an article, as in "a TorchScript module".
  std::string format = {};
  // The name of the file in a version's folder that says that the version is for this backend.
  std::string file_name = {};
  // How often a batch must run until further runs are no faster.
  int warm_up_rounds = 1;
  ModelLoadFunction load = nullptr;
  // Null if this backend runs no generators.
  GeneratorLoadFunction load_generator = nullptr;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_BACKEND_H_
