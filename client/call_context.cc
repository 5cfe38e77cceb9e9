#include "client/call_context.h"

#include <string>

#include "absl/memory/memory.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"

namespace predictd {
inline namespace client {
namespace {

constexpr char kTraceparent[] = "traceparent";

absl::string_view View(const grpc::string_ref& text) {
  return {text.data(), text.size()};
}

}  // namespace

absl::StatusOr<std::unique_ptr<CallContext>> CallContext::Create(const Metadata& client_metadata,
                                                                 const CallOptions& options,
                                                                 absl::Duration default_deadline) {
  if (absl::Status check = CheckMetadata(options.metadata); !check.ok()) return check;
  if (absl::Status check = CheckMetadata({{kTraceparent, options.traceparent}}); !check.ok()) return check;
  return absl::WrapUnique(new CallContext(client_metadata, options, options.deadline.value_or(default_deadline)));
}

CallContext::CallContext(const Metadata& client_metadata, const CallOptions& options, absl::Duration deadline)
    : control_(options.control), start_(absl::Now()) {
  if (deadline != absl::InfiniteDuration()) grpc_.set_deadline(absl::ToChronoTime(start_ + deadline));
  for (const auto& [key, value] : client_metadata) grpc_.AddMetadata(key, value);
  for (const auto& [key, value] : options.metadata) grpc_.AddMetadata(key, value);
  if (!options.traceparent.empty()) grpc_.AddMetadata(kTraceparent, options.traceparent);
  if (control_ != nullptr) control_->Attach(&grpc_);
}

CallContext::~CallContext() {
  if (control_ != nullptr) control_->Detach(&grpc_);
}

absl::Status CallContext::Finish(const grpc::Status& status, CallInfo* info) const {
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  if (info == nullptr) return result;
  *info = CallInfo{};
  for (const auto& [key, value] : grpc_.GetServerTrailingMetadata()) {
    info->trailers.emplace(View(key), View(value));
  }
  info->timings = ParseServerTiming(TrailerValue(*info, "server-timing"));
  info->elapsed = absl::Now() - start_;
  info->peer = grpc_.peer();
  if (!result.ok()) {
    info->error = DetailsOf(result, status.error_details(), TrailerValue(*info, "grpc-retry-pushback-ms"));
  }
  return result;
}

}  // namespace client
}  // namespace predictd
