#ifndef PREDICTD_SERVER_RPC_DURATION_FIELD_H_
#define PREDICTD_SERVER_RPC_DURATION_FIELD_H_

#include <google/protobuf/duration.pb.h>

#include <algorithm>
#include <cstdint>

#include "absl/time/time.h"

namespace predictd {

// Writes a finite duration. Negative ones become zero: none of the protocol's durations may be negative.
inline void FillDuration(absl::Duration duration, google::protobuf::Duration& field) {
  duration = std::max(duration, absl::ZeroDuration());
  field.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  field.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(duration)));
}

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_DURATION_FIELD_H_
