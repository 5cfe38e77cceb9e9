#ifndef PREDICTD_SERVER_BACKENDS_H_
#define PREDICTD_SERVER_BACKENDS_H_

#include "absl/types/span.h"
#include "server/model/backend.h"

namespace predictd {

// The backends of this server, one row each. They live as long as the process.
absl::Span<const Backend> Backends();

}  // namespace predictd

#endif  // PREDICTD_SERVER_BACKENDS_H_
