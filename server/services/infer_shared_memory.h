#ifndef PREDICTD_SERVER_SERVICES_INFER_SHARED_MEMORY_H_
#define PREDICTD_SERVER_SERVICES_INFER_SHARED_MEMORY_H_

#include <inference/grpc_service.pb.h>

#include <cstdint>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/services/field_errors.h"
#include "server/services/infer_parameters.h"
#include "server/services/shared_memory_regions.h"
#include "server/services/tensor_elements.h"

namespace predictd {

// What the parameters shared_memory_region, shared_memory_byte_size and shared_memory_offset of an input or an output
// ask for. Null regions stand for a request that may not use any.

// Whether it is one of the three.
bool IsPlaceParameter(absl::string_view name);

// Whether they ask for anything.
bool IsShared(const InferParameterMap& parameters, const SharedMemoryRegions* regions);

// The place that they name. `path` is that of the input or output.
std::optional<SharedPlace> ReadSharedPlace(const InferParameterMap& parameters, absl::string_view path,
                                           const SharedMemoryRegions& regions, FieldErrors& errors);

// How many bytes the inputs of the request copy from shared memory at most, whatever regions there are by then.
int64_t SharedInputBytes(const inference::ModelInferRequest& request, const SharedMemoryRegions* regions);

// The tensor whose elements are there, as FromRaw takes them. They are copied, so that what has been checked is what is
// used, whatever their owner does.
std::optional<Tensor> FromSharedMemory(const SentTensor& sent, const SharedPlace& place);

// Puts the elements of an output there, and says so in the parameters of the output. INVALID_ARGUMENT with a BadRequest
// for the output at `path` if there is too little room, or none any more.
absl::Status ToSharedMemory(const Tensor& tensor, const SharedPlace& place, absl::string_view path,
                            inference::ModelInferResponse::InferOutputTensor& output);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_SHARED_MEMORY_H_
