#ifndef PREDICTD_SERVER_RPC_STATUS_H_
#define PREDICTD_SERVER_RPC_STATUS_H_

#include <google/protobuf/message.h>
#include <google/rpc/status.pb.h>
#include <grpcpp/grpcpp.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// Attaches a google.rpc detail message to an error.
void AttachDetail(const google::protobuf::Message& detail, absl::Status& status);

// What callers may see of an error: its code, message and details (BadRequest, RetryInfo). The message of an INTERNAL
// or UNKNOWN error is replaced by an error id, under which the cause is logged here. If a model fails often, not every
// cause is logged, and the message then says so. `model` may be empty.
google::rpc::Status ToRpcStatus(const absl::Status& status, absl::string_view model = "");

// The same in the form that gRPC sends: details go into `grpc-status-details-bin`, and advice on retries also into the
// trailer `grpc-retry-pushback-ms`, which is added to the context. OK stays OK.
grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContext& context, absl::string_view model = "");

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_STATUS_H_
