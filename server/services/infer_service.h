#ifndef PREDICTD_SERVER_SERVICES_INFER_SERVICE_H_
#define PREDICTD_SERVER_SERVICES_INFER_SERVICE_H_

#include "server/rpc/method_table.h"
#include "server/services/methods.h"
#include "server/serving/catalog.h"

namespace predictd {

// Adds the Open Inference Protocol's GRPCInferenceService. The catalog and the regions of shared memory
// must outlive the table.
void AddInferenceService(Catalog& catalog, const ServiceOptions& options, MethodTable& methods);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_SERVICE_H_
