#ifndef PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
#define PREDICTD_SERVER_RPC_LIBRARY_LOG_H_

#include <functional>

namespace predictd {

// Makes gRPC and protobuf report their problems as records of our log, a few per minute: a caller can provoke them at
// will. Otherwise they write lines of their own to stderr. For the whole process.
//
// gRPC 1.51 stops listening for good when it cannot accept a connection, as when files run out, and its log is the only
// place that says so: `on_listener_lost` is called then, on any thread, and must be quick.
void RouteLibraryLogs(std::function<void()> on_listener_lost = nullptr);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
