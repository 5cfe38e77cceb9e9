#ifndef PREDICTD_SERVER_MODEL_TRAFFIC_READER_H_
#define PREDICTD_SERVER_MODEL_TRAFFIC_READER_H_

// This is only for the sources of this room, because it shows the TOML library.

#include <toml++/toml.h>

#include "absl/status/statusor.h"
#include "server/model/traffic_split.h"

namespace predictd {

// Reads the table `traffic` of a model.toml. INVALID_ARGUMENT names the key, also if it names a label that is not
// among `labels`.
absl::StatusOr<TrafficSplit> ReadTraffic(const toml::node& node, const VersionLabels& labels);

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_TRAFFIC_READER_H_
