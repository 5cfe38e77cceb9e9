#ifndef PREDICTD_SERVER_GENERATOR_LOADING_H_
#define PREDICTD_SERVER_GENERATOR_LOADING_H_

#include <atomic>
#include <memory>

#include "absl/status/statusor.h"
#include "server/async/clock.h"
#include "server/async/worker_pool.h"
#include "server/generation/generator.h"
#include "server/model/model_config.h"
#include "server/model/repository.h"

namespace predictd {

// Reads a generator with its tokenizer and chat template and warms it up on a worker. A step of it uses the threads of
// all workers. INTERNAL, INVALID_ARGUMENT or NOT_FOUND with the cause; CANCELLED soon after `stopping` has become true.
// Takes seconds.
absl::StatusOr<std::shared_ptr<Generator>> LoadGenerator(const ModelConfig& config, const VersionEntry& version,
                                                         WorkerPool& pool, int intra_op_threads,
                                                         GeneratorObserver& observer, const Clock& clock,
                                                         const std::atomic<bool>& stopping);

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATOR_LOADING_H_
