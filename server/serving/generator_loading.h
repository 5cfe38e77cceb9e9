#ifndef PREDICTD_SERVER_SERVING_GENERATOR_LOADING_H_
#define PREDICTD_SERVER_SERVING_GENERATOR_LOADING_H_

#include <atomic>
#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "server/async/clock.h"
#include "server/async/reaper.h"
#include "server/async/worker_pool.h"
#include "server/generation/generator.h"
#include "server/model/backend.h"
#include "server/model/memory_plan.h"
#include "server/model/repository.h"
#include "server/serving/served_version.h"

namespace predictd {

// What turns text into a generator's tokens and back.
struct GeneratorText {
  std::shared_ptr<const Tokenizer> tokenizer;
  // Null if the model is not for chats.
  std::shared_ptr<const ChatTemplate> chat;
};

// Reads the tokenizer and the chat template from a version's folder. The errors are those of LoadGenerator, and say so
// if another one of the backends is for generators.
absl::StatusOr<GeneratorText> LoadGeneratorText(const VersionEntry& version, absl::Span<const Backend> backends);

// What generators run on. One step uses the threads of all workers.
struct GeneratorResources {
  WorkerPool& pool;
  Reaper& reaper;
  int intra_op_threads = 1;
  const Clock& clock;
  MemoryPlan& memory;
  absl::Span<const Backend> backends;
  std::function<std::shared_ptr<GeneratorObserver>(const ServedVersion&)> observer;
};

// Reads a generator with its tokenizer and chat template, and warms it up on a worker. INTERNAL, INVALID_ARGUMENT or
// NOT_FOUND with the cause; RESOURCE_EXHAUSTED with the figures if its weights and its KV cache with all slots full do
// not fit into memory; CANCELLED soon after `stopping` has become true. Takes seconds.
absl::StatusOr<std::shared_ptr<Generator>> LoadGenerator(const ServedVersion& version,
                                                         const GeneratorResources& resources,
                                                         const std::atomic<bool>& stopping);

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_GENERATOR_LOADING_H_
