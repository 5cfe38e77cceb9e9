#include "client/call_metadata.h"

#include <grpc/grpc.h>
#include <grpc/slice.h>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace predictd {
inline namespace client {

absl::Status CheckMetadata(const Metadata& metadata) {
  for (const auto& [key, value] : metadata) {
    const grpc_slice key_slice = grpc_slice_from_static_buffer(key.data(), key.size());
    if (key.empty() || grpc_header_key_is_legal(key_slice) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("metadata key '", absl::CHexEscape(key), "' is not made of a-z, 0-9, '-', '_' and '.'"));
    }
    if (absl::StartsWith(key, "grpc-")) {
      return absl::InvalidArgumentError(absl::StrCat("metadata key '", key, "' is reserved for gRPC"));
    }
    const grpc_slice value_slice = grpc_slice_from_static_buffer(value.data(), value.size());
    if (!absl::EndsWith(key, "-bin") && grpc_header_nonbin_value_is_legal(value_slice) == 0) {
      return absl::InvalidArgumentError(
          absl::StrCat("the value of metadata '", key, "' has characters that are not printable ASCII"));
    }
  }
  return absl::OkStatus();
}

}  // namespace client
}  // namespace predictd
