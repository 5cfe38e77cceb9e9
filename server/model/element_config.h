#ifndef PREDICTD_SERVER_MODEL_ELEMENT_CONFIG_H_
#define PREDICTD_SERVER_MODEL_ELEMENT_CONFIG_H_

// Reads elements in model.toml. Private to the predictd_model target, like the TOML library.

#include <toml++/toml.h>

#include <optional>

#include "server/model/dtype.h"
#include "server/model/element.h"
#include "server/model/value_range.h"

namespace predictd {

// The number or truth value as an element of that type; nullopt if it is not one.
std::optional<ElementBytes> ReadElement(const toml::node& node, DType dtype);

// A list of two numbers of a type that has an order, the first no more than the second; nullopt if it is not one.
std::optional<ValueRange> ReadRange(const toml::node& node, DType dtype);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_ELEMENT_CONFIG_H_
