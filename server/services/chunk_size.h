#ifndef PREDICTD_SERVER_SERVICES_CHUNK_SIZE_H_
#define PREDICTD_SERVER_SERVICES_CHUNK_SIZE_H_

#include <cstdint>

#include "absl/types/span.h"
#include "server/model/signature.h"
#include "server/model/tensor.h"
#include "server/services/tensor_encoding.h"

namespace predictd {

// The number of rows in a chunk of a stream if the caller does not choose one: the model's maximum batch size, or as
// many rows as keep a result within the message size that clients accept by default (4 MiB), but at least one.
// `outputs` are the indices of the outputs that are sent. Extents that only the model knows, and the lengths of
// strings, count as the least that they can be.
int64_t DefaultChunkRows(const Signature& signature, absl::Span<const Tensor> inputs, absl::Span<const int> outputs,
                         Encoding encoding);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_CHUNK_SIZE_H_
