#ifndef PREDICTD_SERVER_MODEL_CHECK_H_
#define PREDICTD_SERVER_MODEL_CHECK_H_

#include <filesystem>
#include <string>

#include "absl/status/statusor.h"

namespace predictd {

// Reads a model's folder as the server does before it runs the model: model.toml, the versions, and a generator's
// tokenizer and chat template. So the author of such a folder can know that the server will take it. Returns a
// description of what was read, or the reason why the server would refuse the folder. Reads files.
absl::StatusOr<std::string> CheckModel(const std::filesystem::path& folder);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_CHECK_H_
