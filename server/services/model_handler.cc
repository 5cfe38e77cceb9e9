#include "server/services/model_handler.h"

#include <predictd/v1/model_service.pb.h>

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"
#include "server/services/field_errors.h"
#include "server/services/model_message.h"

namespace predictd {
namespace {

constexpr int kLargestPage = 1000;
// A page of so many bytes gets no further model, as most clients take 4 MiB.
constexpr size_t kLargePage = size_t{1} << 20;

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleListModels(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                        int64_t max_message_bytes) {
  auto message = ParseMessage<v1::ListModelsRequest>(request);
  if (!message.ok()) co_return message.status();
  const int32_t asked = (*message)->page_size();
  if (asked < 0) {
    FieldErrors errors;
    errors.Add("page_size", absl::StrCat("expected at least 0, got ", asked));
    co_return errors.ToStatus();
  }
  const int page = asked == 0 ? kLargestPage : std::min(asked, kLargestPage);
  CompactArena arena;
  auto* response = arena.Create<v1::ListModelsResponse>();
  const ServerLimits limits = LimitsOf(call, max_message_bytes);
  const auto snapshot = catalog.snapshot();
  const CatalogSnapshot::Models& models = snapshot->models();
  // A token is the name of the last model that was returned, which may have gone since.
  const std::string& token = (*message)->page_token();
  size_t bytes = 0;
  for (auto next = token.empty() ? models.begin() : models.upper_bound(token); next != models.end(); ++next) {
    if (response->models_size() == page || bytes > kLargePage) {
      response->set_next_page_token(response->models().rbegin()->name());
      break;
    }
    v1::Model& model = *response->add_models();
    FillModel(*next->second, next->second->NewestReady(), limits, model);
    bytes += model.ByteSizeLong();
  }
  co_return SerializeMessage(*response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleGetModel(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                      int64_t max_message_bytes) {
  auto message = ParseMessage<v1::GetModelRequest>(request);
  if (!message.ok()) co_return message.status();
  const int64_t number = (*message)->model_version();
  FieldErrors errors;
  if ((*message)->model_name().empty()) errors.Add("model_name", "expected the name of a model, got none");
  if (number < 0) errors.Add("model_version", absl::StrCat("expected 0 or a version, got ", number));
  if (!errors.empty()) co_return errors.ToStatus();
  const absl::StatusOr<std::shared_ptr<const ServedModel>> model = catalog.snapshot()->Find((*message)->model_name());
  if (!model.ok()) co_return model.status();
  call.report().SetModel((*model)->subject(), number);
  const ServedVersion* const version = number == 0 ? (*model)->NewestReady() : (*model)->Find(number);
  if (number != 0 && version == nullptr) co_return (*model)->NoVersion(number);
  CompactArena arena;
  auto* response = arena.Create<v1::GetModelResponse>();
  FillModel(**model, version, LimitsOf(call, max_message_bytes), *response->mutable_model());
  co_return SerializeMessage(*response);
}

}  // namespace predictd
