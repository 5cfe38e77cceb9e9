#include "server/services/infer_service.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/rpc/message_bytes.h"
#include "server/rpc/request_stream.h"
#include "server/services/control_handler.h"
#include "server/services/infer_config.h"
#include "server/services/infer_control.h"
#include "server/services/infer_handler.h"
#include "server/services/infer_models.h"
#include "server/services/infer_statistics.h"
#include "server/services/infer_stream.h"
#include "server/services/shared_memory_handler.h"

namespace predictd {
namespace {

constexpr char kName[] = "inference.GRPCInferenceService";

// Requests that hold only names are parsed without a scan.
constexpr auto kNamesOnly = static_cast<int64_t>(kSmallMessageBytes);

// The methods that are not served, and what to do instead.
struct Unserved {
  const char* name;
  const char* instead;
};
constexpr char kMemory[] = "send tensors in the request, and receive them in the answer";
constexpr char kNoSharedMemory[] =
    "--shared-memory system lets callers on the server's machine use it; or send tensors in the request";
constexpr Unserved kUnserved[] = {
    {"CudaSharedMemoryStatus", kMemory},
    {"CudaSharedMemoryRegister", kMemory},
    {"CudaSharedMemoryUnregister", kMemory},
    {"TraceSetting", "--trace-exporter and the other options of the server say how calls are traced"},
    {"LogSettings", "--log-level and the other options of the server say what is logged"},
};

Task<absl::Status> Refuse(Call& call, const char* instead) {
  co_return absl::UnimplementedError(absl::StrCat(call.method().name(), " is not served: ", instead));
}

void AddUnserved(const Unserved& method, MethodTable& methods) {
  methods.Add(
      {.service = kName, .name = method.name},
      BidiHandler([instead = method.instead](Call& call, StreamWriter& /*writer*/) { return Refuse(call, instead); }));
}

void AddSharedMemory(SharedMemoryRegions* regions, MethodTable& methods) {
  using Handle = Task<absl::StatusOr<grpc::ByteBuffer>> (*)(Call&, grpc::ByteBuffer&, SharedMemoryRegions&);
  const auto add = [&](const char* name, Handle handle) {
    if (regions == nullptr) {
      AddUnserved({name, kNoSharedMemory}, methods);
      return;
    }
    methods.Add({.service = kName, .name = name, .max_request_bytes = kNamesOnly},
                UnaryHandler([handle, regions](Call& call, grpc::ByteBuffer& request) {
                  return handle(call, request, *regions);
                }));
  };
  add("SystemSharedMemoryStatus", HandleSharedMemoryStatus);
  add("SystemSharedMemoryRegister", HandleSharedMemoryRegister);
  add("SystemSharedMemoryUnregister", HandleSharedMemoryUnregister);
}

}  // namespace

void AddInferenceService(Catalog& catalog, const ServiceOptions& options, MethodTable& methods) {
  const auto add = [&methods](const char* name, bool while_draining, UnaryHandler handler) {
    methods.Add({.service = kName, .name = name, .max_request_bytes = kNamesOnly, .while_draining = while_draining},
                std::move(handler));
  };
  add("ServerLive", true, [](Call& call, grpc::ByteBuffer& request) { return HandleServerLive(call, request); });
  add("ServerReady", true, [](Call& call, grpc::ByteBuffer& request) { return HandleServerReady(call, request); });
  SharedMemoryRegions* const regions = options.shared_memory;
  add("ServerMetadata", false, [version = options.server_version, regions](Call& call, grpc::ByteBuffer& request) {
    return HandleServerMetadata(call, request, version, regions != nullptr);
  });
  add("ModelReady", false,
      [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleModelReady(call, request, catalog); });
  add("ModelMetadata", false,
      [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleModelMetadata(call, request, catalog); });
  add("ModelConfig", false, [&catalog, workers = options.workers](Call& call, grpc::ByteBuffer& request) {
    return HandleModelConfig(call, request, catalog, workers);
  });
  add("ModelStatistics", false,
      [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleModelStatistics(call, request, catalog); });
  add("RepositoryIndex", false,
      [&catalog](Call& call, grpc::ByteBuffer& request) { return HandleRepositoryIndex(call, request, catalog); });
  if (!options.control) {
    for (const char* name : {"RepositoryModelLoad", "RepositoryModelUnload"}) add(name, false, RefuseControl);
  } else {
    add("RepositoryModelLoad", false, [&commands = catalog.commands()](Call& call, grpc::ByteBuffer& request) {
      return HandleRepositoryModelLoad(call, request, commands);
    });
    add("RepositoryModelUnload", false, [&commands = catalog.commands()](Call& call, grpc::ByteBuffer& request) {
      return HandleRepositoryModelUnload(call, request, commands);
    });
  }
  methods.Add({.service = kName, .name = "ModelInfer", .max_request_bytes = options.max_message_bytes},
              UnaryHandler([&catalog, regions](Call& call, grpc::ByteBuffer& request) {
                return HandleModelInfer(call, request, catalog, regions);
              }));
  methods.Add(
      {.service = kName, .name = "ModelStreamInfer", .max_request_bytes = options.max_message_bytes, .may_idle = true},
      BidiHandler([serve = MakeStreamInferHandler(catalog, regions)](Call& call, StreamWriter& writer) {
        return ServeRequests(call, writer, {}, *serve);
      }));
  AddSharedMemory(regions, methods);
  for (const Unserved& method : kUnserved) AddUnserved(method, methods);
}

}  // namespace predictd
