#ifndef PREDICTD_SERVER_SERVICES_SHARED_MEMORY_HANDLER_H_
#define PREDICTD_SERVER_SERVICES_SHARED_MEMORY_HANDLER_H_

#include <grpcpp/grpcpp.h>

#include "absl/status/statusor.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/services/shared_memory_regions.h"

namespace predictd {

// GRPCInferenceService.SystemSharedMemoryStatus, -Register and -Unregister. What they ask of the system takes
// microseconds, as shared memory is never on a disk and leases are not waited for.
Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryStatus(Call& call, grpc::ByteBuffer& request,
                                                                SharedMemoryRegions& regions);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryRegister(Call& call, grpc::ByteBuffer& request,
                                                                  SharedMemoryRegions& regions);
Task<absl::StatusOr<grpc::ByteBuffer>> HandleSharedMemoryUnregister(Call& call, grpc::ByteBuffer& request,
                                                                    SharedMemoryRegions& regions);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_SHARED_MEMORY_HANDLER_H_
