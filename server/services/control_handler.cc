#include "server/services/control_handler.h"

#include <predictd/v1/model_service.pb.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/work_status.h"
#include "server/rpc/loop_hop.h"
#include "server/rpc/message_bytes.h"
#include "server/services/field_errors.h"
#include "server/services/model_message.h"
#include "server/services/traffic_message.h"

namespace predictd {
namespace {

absl::Status CheckName(const std::string& name) {
  FieldErrors errors;
  if (name.empty()) errors.Add("model_name", "expected the name of a model, got none");
  return errors.ToStatus();
}

// Fills `message` with what is served now. NOT_FOUND if the model has been removed meanwhile.
absl::Status FillModelNow(const Call& call, const std::string& name, const ControlContext& context,
                          v1::Model& message) {
  const absl::StatusOr<std::shared_ptr<const ServedModel>> model = context.catalog.snapshot()->Find(name);
  if (!model.ok()) return model.status();
  FillModel(**model, (*model)->NewestReady(), LimitsOf(call, context.max_message_bytes), message);
  return absl::OkStatus();
}

// Answers a call whose request is no more than the name of a model.
template <class Request, class Response>
Task<absl::StatusOr<grpc::ByteBuffer>> Handle(Call& call, grpc::ByteBuffer& request, ModelCommand::Kind kind,
                                              const ControlContext& context) {
  auto message = ParseMessage<Request>(request);
  if (!message.ok()) co_return message.status();
  const std::string& name = (*message)->model_name();
  if (absl::Status status = CheckName(name); !status.ok()) co_return status;
  Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> carry_out =
      CarryOut(call, {.kind = kind, .model = name}, context.catalog.commands());
  const absl::StatusOr<std::shared_ptr<PendingCommand>> command = co_await carry_out;
  if (!command.ok()) co_return command.status();
  CompactArena arena;
  auto* response = arena.Create<Response>();
  if (absl::Status status = FillModelNow(call, name, context, *response->mutable_model()); !status.ok()) {
    co_return status;
  }
  co_return SerializeMessage(*response);
}

}  // namespace

Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> CarryOut(ServedRequest& served, ModelCommand command,
                                                               ModelCommands& commands) {
  absl::StatusOr<std::shared_ptr<PendingCommand>> pending = commands.Add(std::move(command));
  if (!pending.ok()) co_return pending.status();
  while (true) {
    const uint64_t seen = (*pending)->ended().count();
    if (const std::optional<absl::Status> outcome = (*pending)->outcome()) {
      if (!outcome->ok()) co_return *outcome;
      co_return *std::move(pending);
    }
    if (served.stop().stopped()) co_return StopStatus(served.stop().reason(), "the change, which goes on");
    // The manager has more to do than this request.
    LoopHop back(served.loop());
    ChangeSignal::Change change((*pending)->ended(), seen, served.stop());
    co_await change;
    co_await back;
  }
}

Task<absl::StatusOr<grpc::ByteBuffer>> RefuseControl(Call& call, grpc::ByteBuffer& /*request*/) {
  co_return absl::PermissionDeniedError(absl::StrCat(call.method().name(),
                                                     " is not let in here: --control-listen says where calls are that "
                                                     "change what is served, and --model-control explicit lets them "
                                                     "in everywhere unless there is such a place"));
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleLoadModel(Call& call, grpc::ByteBuffer& request,
                                                       const ControlContext& context) {
  return Handle<v1::LoadModelRequest, v1::LoadModelResponse>(call, request, ModelCommand::Kind::kLoad, context);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleUnloadModel(Call& call, grpc::ByteBuffer& request,
                                                         const ControlContext& context) {
  return Handle<v1::UnloadModelRequest, v1::UnloadModelResponse>(call, request, ModelCommand::Kind::kUnload, context);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleReloadModel(Call& call, grpc::ByteBuffer& request,
                                                         const ControlContext& context) {
  return Handle<v1::ReloadModelRequest, v1::ReloadModelResponse>(call, request, ModelCommand::Kind::kReload, context);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleSetTrafficSplit(Call& call, grpc::ByteBuffer& request,
                                                             const ControlContext& context) {
  auto message = ParseMessage<v1::SetTrafficSplitRequest>(request);
  if (!message.ok()) co_return message.status();
  const std::string& name = (*message)->model_name();
  if (absl::Status status = CheckName(name); !status.ok()) co_return status;
  ModelCommand command = {.kind = ModelCommand::Kind::kSetTraffic, .model = name};
  if ((*message)->has_traffic()) {
    command.traffic = ReadTraffic((*message)->traffic());
    if (absl::Status status = command.traffic->Check(); !status.ok()) {
      FieldErrors errors;
      errors.Add("traffic", status.message());
      co_return errors.ToStatus();
    }
  }
  Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> carry_out =
      CarryOut(call, std::move(command), context.catalog.commands());
  const absl::StatusOr<std::shared_ptr<PendingCommand>> ended = co_await carry_out;
  if (!ended.ok()) co_return ended.status();
  CompactArena arena;
  auto* response = arena.Create<v1::SetTrafficSplitResponse>();
  if (absl::Status status = FillModelNow(call, name, context, *response->mutable_model()); !status.ok()) {
    co_return status;
  }
  if (const std::optional<TrafficSplit> previous = (*ended)->previous()) {
    FillTraffic(*previous, *response->mutable_previous());
  }
  co_return SerializeMessage(*response);
}

}  // namespace predictd
