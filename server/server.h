#ifndef PREDICTD_SERVER_SERVER_H_
#define PREDICTD_SERVER_SERVER_H_

#include <functional>

#include "absl/status/status.h"
#include "server/config/server_config.h"

namespace predictd {

// The composition root: builds everything, serves until `wait_for_stop` returns, then drains and takes it down in order
// (server/README.md). Returns an error if it could not start. Called once, from the main thread; logging is on.
absl::Status RunServer(const ServerConfig& config, const std::function<void()>& wait_for_stop);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVER_H_
