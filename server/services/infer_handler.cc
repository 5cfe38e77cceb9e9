#include "server/services/infer_handler.h"

#include <inference/grpc_service.pb.h>

#include <memory>
#include <utility>

#include "server/services/infer_codec.h"
#include "server/services/infer_generation.h"
#include "server/services/infer_shared_memory.h"
#include "server/services/tensor_call.h"

namespace predictd {
namespace {

struct InferProtocol {
  using Request = inference::ModelInferRequest;

  const SendInferAnswer* send;
  const SharedMemoryRegions* regions;

  static TargetVersion FindTarget(const Request& request, const CatalogSnapshot& models, RequestSubject& subject) {
    return FindInferTarget(request, models, subject);
  }
  Task<absl::StatusOr<grpc::ByteBuffer>> Generate(ServedRequest& served, std::shared_ptr<const Request> request,
                                                  std::shared_ptr<const ServedVersion> target) const {
    return HandleInferGeneration(served, std::move(request), std::move(target), send);
  }
  int64_t BytesToCopy(const Request& request) const { return SharedInputBytes(request, regions); }
  absl::StatusOr<DecodedPredict> Decode(const std::shared_ptr<const Request>& request,
                                        std::shared_ptr<const ServedVersion> target) const {
    return DecodeInfer(request, std::move(target), regions);
  }
  static absl::StatusOr<grpc::ByteBuffer> Encode(const DecodedPredict& request, absl::Span<const Tensor> outputs) {
    return EncodeInfer(request, outputs);
  }
};

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> AnswerInfer(ServedRequest& served, grpc::ByteBuffer& request,
                                                   const Catalog& catalog, const SharedMemoryRegions* regions,
                                                   const SendInferAnswer* send) {
  return AnswerRequest(served, request, catalog, InferProtocol{send, regions});
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleModelInfer(Call& call, grpc::ByteBuffer& request, const Catalog& catalog,
                                                        const SharedMemoryRegions* regions) {
  return AnswerInfer(call, request, catalog, regions);
}

}  // namespace predictd
