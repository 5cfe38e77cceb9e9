#ifndef PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_
#define PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_

// The [[inputs]] and [[outputs]] of model.toml. Private to the predictd_model target, like the TOML library.

#include <toml++/toml.h>

#include "absl/status/status.h"
#include "server/model/signature.h"

namespace predictd {

// Reads inputs, outputs and what they say of padding into `signature`, whose other fields are set. Null is a key that
// is not there. INVALID_ARGUMENT names the key that is wrong.
absl::Status ReadTensors(const toml::node* inputs, const toml::node* outputs, Signature& signature);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_SIGNATURE_CONFIG_H_
