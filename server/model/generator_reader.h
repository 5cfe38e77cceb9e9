#ifndef PREDICTD_SERVER_MODEL_GENERATOR_READER_H_
#define PREDICTD_SERVER_MODEL_GENERATOR_READER_H_

// Reads the [generator] table of model.toml. Private to the predictd_model target, like the TOML library.

#include <toml++/toml.h>

#include "absl/status/statusor.h"
#include "server/model/generator_config.h"

namespace predictd {

// `node` is null if there is no table. INVALID_ARGUMENT names the key that is unknown, missing or has a bad value.
absl::StatusOr<GeneratorConfig> ReadGenerator(const toml::node* node);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_GENERATOR_READER_H_
