#ifndef PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
#define PREDICTD_SERVER_RPC_LIBRARY_LOG_H_

namespace predictd {

// Makes gRPC and protobuf report their problems as records of our log instead of writing lines of their own to stderr.
// Only a few a minute are logged, because a caller can provoke them at will. This holds for the whole process.
void RouteLibraryLogs();

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
