#ifndef PREDICTD_SERVER_SERVICES_INFER_STREAM_H_
#define PREDICTD_SERVER_SERVICES_INFER_STREAM_H_

#include <memory>

#include "server/rpc/request_stream.h"
#include "server/services/shared_memory_regions.h"
#include "server/serving/catalog.h"

namespace predictd {

// Answers one request of a ModelStreamInfer of the Open Inference Protocol as ModelInfer would, but for streams of
// text. What is wrong with it becomes an answer, too, and the stream goes on. Without
// regions no request may use shared memory. The references outlive the handler.
std::shared_ptr<const RequestHandler> MakeStreamInferHandler(const Catalog& catalog,
                                                             const SharedMemoryRegions* regions);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVICES_INFER_STREAM_H_
