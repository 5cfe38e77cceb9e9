#include "server/services/infer_control.h"

#include <inference/grpc_service.pb.h>

#include <memory>
#include <utility>

#include "server/rpc/message_bytes.h"
#include "server/services/control_handler.h"
#include "server/services/field_errors.h"
#include "server/services/infer_parameters.h"

namespace predictd {
namespace {

// `allowed` is the parameter that has no effect, as no model depends on another.
template <class Request, class Response>
Task<absl::StatusOr<grpc::ByteBuffer>> Handle(Call& call, grpc::ByteBuffer& request, ModelCommand::Kind kind,
                                              absl::string_view allowed, ModelCommands& commands) {
  auto message = ParseMessage<Request>(request);
  if (!message.ok()) co_return message.status();
  FieldErrors errors;
  if (!(*message)->repository_name().empty()) {
    errors.Add("repository_name", "expected \"\", as there is one repository");
  }
  if ((*message)->model_name().empty()) errors.Add("model_name", "expected the name of a model, got none");
  for (const auto& [name, unused] : (*message)->parameters()) {
    if (name == allowed || errors.full()) continue;
    errors.Add(ParameterPath(name), "expected none: the model's folder in the repository says what is loaded, and how");
  }
  if (!errors.empty()) co_return errors.ToStatus();
  Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> carry_out =
      CarryOut(call, {.kind = kind, .model = (*message)->model_name()}, commands);
  const absl::StatusOr<std::shared_ptr<PendingCommand>> ended = co_await carry_out;
  if (!ended.ok()) co_return ended.status();
  co_return SerializeMessage(Response());
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryModelLoad(Call& call, grpc::ByteBuffer& request,
                                                                 ModelCommands& commands) {
  return Handle<inference::RepositoryModelLoadRequest, inference::RepositoryModelLoadResponse>(
      call, request, ModelCommand::Kind::kLoad, "", commands);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleRepositoryModelUnload(Call& call, grpc::ByteBuffer& request,
                                                                   ModelCommands& commands) {
  return Handle<inference::RepositoryModelUnloadRequest, inference::RepositoryModelUnloadResponse>(
      call, request, ModelCommand::Kind::kUnload, "unload_dependents", commands);
}

}  // namespace predictd
