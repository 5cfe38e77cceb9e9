#include "server/services/methods.h"

#include <utility>

#include "server/services/control_handler.h"
#include "server/services/infer_service.h"
#include "server/services/model_handler.h"
#include "server/services/predict_handler.h"
#include "server/services/watch_handler.h"

namespace predictd {
namespace {

constexpr char kPredictionName[] = "predictd.v1.PredictionService";
constexpr char kModelName[] = "predictd.v1.ModelService";
constexpr char kPredict[] = "Predict";
constexpr char kPredictStream[] = "PredictStream";

// The largest request of ModelService, which holds names and numbers.
constexpr int64_t kSmallRequest = 4096;

}  // namespace

std::shared_ptr<CallSubject> MakeModelSubject(CallMetrics& metrics, const std::string& model) {
  auto subject = std::make_shared<CallSubject>(metrics, model);
  subject->Expect(metrics.ForMethod(kPredict));
  subject->Expect(metrics.ForMethod(kPredictStream));
  return subject;
}

void AddServices(Catalog& catalog, const ServiceOptions& options, MethodTable& methods) {
  const int64_t large = options.max_message_bytes;
  methods.Add({.service = kPredictionName, .name = kPredict, .max_request_bytes = large},
              UnaryHandler(
                  [&catalog](Call& call, grpc::ByteBuffer& request) { return HandlePredict(call, request, catalog); }));
  methods.Add({.service = kPredictionName, .name = kPredictStream, .max_request_bytes = large},
              StreamHandler([&catalog, window = options.stream_window](Call& call, grpc::ByteBuffer& request,
                                                                       StreamWriter& writer) {
                return HandlePredictStream(call, request, writer, catalog, window);
              }));
  AddModelService(catalog, options, methods);
  AddInferenceService(catalog, options, methods);
}

void AddModelService(Catalog& catalog, const ServiceOptions& options, MethodTable& methods) {
  const int64_t large = options.max_message_bytes;
  const auto add = [&methods](const char* name, UnaryHandler handler) {
    methods.Add({.service = kModelName, .name = name, .max_request_bytes = kSmallRequest}, std::move(handler));
  };
  add("ListModels", [&catalog, large](Call& call, grpc::ByteBuffer& request) {
    return HandleListModels(call, request, catalog, large);
  });
  add("GetModel", [&catalog, large](Call& call, grpc::ByteBuffer& request) {
    return HandleGetModel(call, request, catalog, large);
  });
  methods.Add({.service = kModelName, .name = "WatchModels", .max_request_bytes = kSmallRequest, .endless = true},
              StreamHandler([&catalog, large](Call& call, grpc::ByteBuffer& request, StreamWriter& writer) {
                return HandleWatchModels(call, request, writer, catalog, large);
              }));
  using Control =
      Task<absl::StatusOr<grpc::ByteBuffer>> (*)(Call&, grpc::ByteBuffer& request, const ControlContext& context);
  const std::pair<const char*, Control> controls[] = {{"LoadModel", HandleLoadModel},
                                                      {"UnloadModel", HandleUnloadModel},
                                                      {"ReloadModel", HandleReloadModel},
                                                      {"SetTrafficSplit", HandleSetTrafficSplit}};
  for (const auto& [name, handle] : controls) {
    if (!options.control) {
      add(name, RefuseControl);
    } else {
      add(name, [handle = handle, context = ControlContext{catalog, large}](Call& call, grpc::ByteBuffer& request) {
        return handle(call, request, context);
      });
    }
  }
}

}  // namespace predictd
