#ifndef PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
#define PREDICTD_SERVER_RPC_LIBRARY_LOG_H_

namespace predictd {

// Makes gRPC and protobuf report their problems as records of our log, a few per minute: a caller can provoke them at
// will. Otherwise they write lines of their own to stderr. For the whole process.
void RouteLibraryLogs();

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_LIBRARY_LOG_H_
