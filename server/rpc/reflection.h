#ifndef PREDICTD_SERVER_RPC_REFLECTION_H_
#define PREDICTD_SERVER_RPC_REFLECTION_H_

#include <grpc/reflection/v1/reflection.pb.h>

#include <string>
#include <vector>

namespace predictd {

// Answers one request of the reflection protocol from the compiled-in descriptors, with their comments. `services` are
// the full names of the services that the server offers. Thread-safe.
grpc::reflection::v1::ServerReflectionResponse Reflect(const grpc::reflection::v1::ServerReflectionRequest& request,
                                                       const std::vector<std::string>& services);

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_REFLECTION_H_
