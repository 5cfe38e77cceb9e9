#ifndef PREDICTD_SERVER_MODEL_WARM_UP_CONFIG_H_
#define PREDICTD_SERVER_MODEL_WARM_UP_CONFIG_H_

// Reads what model.toml says about the warm-up. Private to the predictd_model target, like the TOML library.

#include <toml++/toml.h>

#include <filesystem>
#include <optional>

#include "absl/status/status.h"
#include "server/files/table_reader.h"
#include "server/model/signature.h"

namespace predictd {

// Reads warmup_shape and warmup_values of an input, of which everything else has been read. `padded` is the dimension
// that is padded, if one is.
void ReadWarmUpKeys(TableReader& reader, bool batched, std::optional<size_t> padded, TensorSpec& spec);

// Reads [[warmup_samples]] and their files into the signature, which is complete apart from that. Null stands for a
// missing key; `folder` is the model's. INVALID_ARGUMENT names the key that is wrong.
absl::Status ReadWarmUpSamples(const toml::node* node, const std::filesystem::path& folder, Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_WARM_UP_CONFIG_H_
