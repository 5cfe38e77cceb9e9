#include "server/rpc/status.h"

#include <google/rpc/error_details.pb.h>

#include <atomic>
#include <random>

#include "absl/strings/cord.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "server/async/retry_advice.h"
#include "server/rpc/duration_field.h"
#include "server/telemetry/log.h"
#include "server/text/utf8.h"

namespace predictd {
namespace {

constexpr char kTypePrefix[] = "type.googleapis.com/";
// Clients take 8 KiB of trailers, and the message goes into them twice, escaped. It may contain what the caller sent.
constexpr size_t kMaxMessage = 512;

std::string NewErrorId() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return absl::StrFormat("%016x", random());
}

std::string PublicMessage(const absl::Status& status, absl::string_view model) {
  if (status.code() != absl::StatusCode::kInternal && status.code() != absl::StatusCode::kUnknown) {
    return std::string(status.message());
  }
  const std::string_view name(model.data(), model.size());
  if (!AdmitFailure(LogLevel::kError, name, "INTERNAL")) {
    return "the model failed; there are too many failures at the moment for each to have its cause in the server's log";
  }
  const std::string id = NewErrorId();
  const std::string cause(status.message());
  Log(LogLevel::kError, "model failed", {{"error_id", id}, {"model", name}, {"cause", cause}});
  return absl::StrCat("the model failed; the server's log has the cause under error id ", id);
}

}  // namespace

void AttachDetail(const google::protobuf::Message& detail, absl::Status& status) {
  status.SetPayload(absl::StrCat(kTypePrefix, detail.GetTypeName()), absl::Cord(detail.SerializeAsString()));
}

google::rpc::Status ToRpcStatus(const absl::Status& status, absl::string_view model) {
  google::rpc::Status rpc;
  rpc.set_code(static_cast<int>(status.code()));
  if (status.ok()) return rpc;
  rpc.set_message(ToUtf8(PublicMessage(status, model), kMaxMessage));
  status.ForEachPayload([&rpc](absl::string_view type, const absl::Cord& payload) {
    if (!absl::StartsWith(type, kTypePrefix)) return;
    google::protobuf::Any* detail = rpc.add_details();
    detail->set_type_url(std::string(type));
    detail->set_value(std::string(payload));
  });
  if (const std::optional<absl::Duration> delay = RetryAfter(status)) {
    google::rpc::RetryInfo retry;
    FillDuration(*delay, *retry.mutable_retry_delay());
    rpc.add_details()->PackFrom(retry);
  }
  return rpc;
}

grpc::Status ToGrpcStatus(const absl::Status& status, grpc::ServerContext& context, absl::string_view model) {
  if (status.ok()) return grpc::Status::OK;
  const google::rpc::Status rpc = ToRpcStatus(status, model);
  if (const std::optional<absl::Duration> delay = RetryAfter(status)) {
    context.AddTrailingMetadata("grpc-retry-pushback-ms", absl::StrCat(absl::ToInt64Milliseconds(*delay)));
  }
  if (RetryForbidden(status)) context.AddTrailingMetadata("grpc-retry-pushback-ms", "-1");
  return grpc::Status(static_cast<grpc::StatusCode>(rpc.code()), rpc.message(),
                      rpc.details().empty() ? "" : rpc.SerializeAsString());
}

}  // namespace predictd
