#ifndef PREDICTD_SERVER_SERVER_H_
#define PREDICTD_SERVER_SERVER_H_

#include "absl/status/status.h"
#include "server/config/server_config.h"
#include "server/process/stop_signals.h"

namespace predictd {

// The composition root: builds everything, serves until a signal says stop, then drains and takes it down in order
// (server/README.md). Returns an error if it could not start, or throws one. Called once, from the main thread; logging
// is on.
absl::Status RunServer(const ServerConfig& config, StopSignals& signals);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVER_H_
