#include "server/services/shared_memory_handler.h"

#include <inference/grpc_service.pb.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/rpc/message_bytes.h"

namespace predictd {
namespace {

void FillRegion(const std::string& name, const SharedMemoryRegion& region,
                inference::SystemSharedMemoryStatusResponse& message) {
  auto& status = (*message.mutable_regions())[name];
  status.set_name(name);
  status.set_key(region.key());
  status.set_offset(region.offset());
  status.set_byte_size(region.byte_size());
}

}  // namespace

Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryStatus(Call& /*call*/, grpc::ByteBuffer& request,
                                                                SharedMemoryRegions& regions) {
  auto message = ParseMessage<inference::SystemSharedMemoryStatusRequest>(request);
  if (!message.ok()) co_return message.status();
  const std::string& name = (*message)->name();
  CompactArena arena;
  auto* response = arena.Create<inference::SystemSharedMemoryStatusResponse>();
  if (name.empty()) {
    for (const auto& [each, region] : regions.all()) FillRegion(each, *region, *response);
    co_return SerializeMessage(*response);
  }
  const std::shared_ptr<const SharedMemoryRegion> region = regions.Find(name);
  if (region == nullptr) co_return absl::NotFoundError(absl::StrCat("there is no region '", name, "'"));
  FillRegion(name, *region, *response);
  co_return SerializeMessage(*response);
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryRegister(Call& /*call*/, grpc::ByteBuffer& request,
                                                                  SharedMemoryRegions& regions) {
  auto message = ParseMessage<inference::SystemSharedMemoryRegisterRequest>(request);
  if (!message.ok()) co_return message.status();
  const inference::SystemSharedMemoryRegisterRequest& wanted = **message;
  absl::Status status = regions.Register(wanted.name(), wanted.key(), wanted.offset(), wanted.byte_size());
  if (!status.ok()) co_return status;
  co_return SerializeMessage(inference::SystemSharedMemoryRegisterResponse());
}

Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryUnregister(Call& /*call*/, grpc::ByteBuffer& request,
                                                                    SharedMemoryRegions& regions) {
  auto message = ParseMessage<inference::SystemSharedMemoryUnregisterRequest>(request);
  if (!message.ok()) co_return message.status();
  regions.Unregister((*message)->name());
  co_return SerializeMessage(inference::SystemSharedMemoryUnregisterResponse());
}

}  // namespace predictd
