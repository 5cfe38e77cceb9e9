#ifndef PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_
#define PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_

// Reads the [[inputs]] and [[outputs]] of model.toml. Private to the predictd_model target, like the TOML library.

#include <toml++/toml.h>

#include "absl/status/status.h"
#include "server/model/signature.h"

namespace predictd {

// Reads inputs, outputs and their padding into `signature`, whose other fields must be set already. Null stands for a
// missing key. INVALID_ARGUMENT names the key that is wrong.
absl::Status ReadTensors(const toml::node* inputs, const toml::node* outputs, Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_
