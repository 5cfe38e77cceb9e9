#ifndef PREDICTD_SERVER_SERVICES_TENSOR_ELEMENTS_H_
#define PREDICTD_SERVER_SERVICES_TENSOR_ELEMENTS_H_

#include <google/protobuf/repeated_ptr_field.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"
#include "server/services/field_errors.h"

namespace predictd {

// The most strings that a request may have: an empty one takes 2 bytes of a message, but dozens of bytes in memory.
constexpr int64_t kMaxStrings = int64_t{1} << 20;

// A tensor in a message of any protocol, except for its elements.
struct SentTensor {
  // What it must be like.
  const TensorSpec& spec;
  absl::Span<const int64_t> shape;
  // Keeps the message alive.
  const std::shared_ptr<const void>& owner;
  // The path of the tensor's field with that name, in the message.
  absl::FunctionRef<std::string(absl::string_view field)> path;
  FieldErrors& errors;
};

// These return the tensor with its elements, checked against its spec before anything is allocated; or nullopt, after
// adding an error to `errors`. Elements that lie in the message in the layout that the model wants are not copied: the
// owner keeps the message alive. `field` is the name of the field that has the elements, for SentTensor::path.

// Whether elements of the tensor can be in so many raw bytes, as far as the number tells; adds an error if not. This is
// for bytes that are about to be copied.
bool CheckRawBytes(const SentTensor& sent, uint64_t bytes, absl::string_view field);

// Elements as little-endian bytes. Those of BYTES are a 4-byte length and that many bytes each.
std::optional<Tensor> FromRaw(const SentTensor& sent, absl::string_view raw, absl::string_view field);

// Numbers, as messages have them: bool, int32_t, int64_t, uint32_t, uint64_t, float or double, of which they are the
// narrowest one of their kind that holds every value of the dtype. Not for BYTES.
std::optional<Tensor> FromNumbers(const SentTensor& sent, const void* numbers, int64_t count, absl::string_view field);

// Strings, for BYTES.
std::optional<Tensor> FromStrings(const SentTensor& sent,
                                  const google::protobuf::RepeatedPtrField<std::string>& strings);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_TENSOR_ELEMENTS_H_
