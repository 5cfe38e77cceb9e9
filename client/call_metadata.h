// The metadata (headers) that a call carries.
#ifndef PREDICTD_CLIENT_CALL_METADATA_H_
#define PREDICTD_CLIENT_CALL_METADATA_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"

namespace predictd {
inline namespace client {

// Pairs of key and value, in order. Keys are lower case. A value is printable ASCII, or any bytes if its key ends in
// "-bin".
using Metadata = std::vector<std::pair<std::string, std::string>>;

// INVALID_ARGUMENT, with the name of the key, for metadata over which gRPC would abort the process: characters that
// HTTP/2 does not allow, and keys that belong to gRPC itself ("grpc-...").
absl::Status CheckMetadata(const Metadata& metadata);

}  // namespace client
}  // namespace predictd

#endif  // PREDICTD_CLIENT_CALL_METADATA_H_
