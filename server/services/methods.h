#ifndef PREDICTD_SERVER_SERVICES_METHODS_H_
#define PREDICTD_SERVER_SERVICES_METHODS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "server/rpc/method_table.h"
#include "server/services/shared_memory_regions.h"
#include "server/serving/catalog.h"
#include "server/telemetry/call_metrics.h"

namespace predictd {

// What the methods need besides a call.
struct ServiceOptions {
  // Whether the calls that change what is served are let in.
  bool control = false;
  // The most bytes of one message from a caller.
  int64_t max_message_bytes = 0;
  // How many chunks of a PredictStream may be queued, running or waiting for the reader.
  int stream_window = 1;
  // How many batches may run at once.
  int workers = 1;
  // The server's version, which clients may ask for.
  std::string server_version;
  // Where callers of the Open Inference Protocol may register shared memory; null if they may not.
  SharedMemoryRegions* shared_memory = nullptr;
};

// The subject of calls that are about a model, with the series of its first call.
std::shared_ptr<CallSubject> MakeModelSubject(CallMetrics& metrics, const std::string& model);

// Adds the services of predictd.v1, and that of the Open Inference Protocol. The catalog and the regions of shared
// memory must outlive the table.
void AddServices(Catalog& catalog, const ServiceOptions& options, MethodTable& methods);

// Adds only those methods that say what is served and change it.
void AddModelService(Catalog& catalog, const ServiceOptions& options, MethodTable& methods);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_METHODS_H_
