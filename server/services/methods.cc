#include "server/services/methods.h"

#include "server/services/infer_service.h"
#include "server/services/model_handler.h"
#include "server/services/predict_handler.h"

namespace predictd {
namespace {

constexpr char kPredictionName[] = "predictd.v1.PredictionService";
constexpr char kModelName[] = "predictd.v1.ModelService";
constexpr char kPredict[] = "Predict";
constexpr char kPredictStream[] = "PredictStream";

// The largest request of ModelService, which holds only a name and a version.
constexpr int64_t kSmallRequest = 4096;

}  // namespace

std::shared_ptr<CallSubject> MakeModelSubject(CallMetrics& metrics, const std::string& model) {
  auto subject = std::make_shared<CallSubject>(metrics, model);
  subject->Expect(metrics.ForMethod(kPredict));
  subject->Expect(metrics.ForMethod(kPredictStream));
  return subject;
}

void AddServices(const Catalog& catalog, const ServiceOptions& options, MethodTable& methods) {
  const int64_t large = options.max_message_bytes;
  methods.Add({.service = kPredictionName, .name = kPredict, .max_request_bytes = large},
              UnaryHandler(
                  [&catalog](Call& call, grpc::ByteBuffer& request) { return HandlePredict(call, request, catalog); }));
  methods.Add({.service = kPredictionName, .name = kPredictStream, .max_request_bytes = large},
              StreamHandler([&catalog, window = options.stream_window](Call& call, grpc::ByteBuffer& request,
                                                                       StreamWriter& writer) {
                return HandlePredictStream(call, request, writer, catalog, window);
              }));
  methods.Add({.service = kModelName, .name = "ListModels", .max_request_bytes = kSmallRequest},
              UnaryHandler([&catalog, large](Call& call, grpc::ByteBuffer& request) {
                return HandleListModels(call, request, catalog, large);
              }));
  methods.Add({.service = kModelName, .name = "GetModel", .max_request_bytes = kSmallRequest},
              UnaryHandler([&catalog, large](Call& call, grpc::ByteBuffer& request) {
                return HandleGetModel(call, request, catalog, large);
              }));
  AddInferenceService(catalog, options, methods);
}

}  // namespace predictd
