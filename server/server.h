#ifndef PREDICTD_SERVER_SERVER_H_
#define PREDICTD_SERVER_SERVER_H_

#include "absl/status/status.h"
#include "server/config/server_config.h"
#include "server/process/stop_signals.h"

namespace predictd {

// The composition root: builds everything, serves until a signal says stop, then drains and takes everything down in
// order (server/README.md). Returns or throws an error if it could not start. Called once, from the main thread, with
// logging started.
absl::Status RunServer(const ServerConfig& config, StopSignals& signals);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVER_H_
