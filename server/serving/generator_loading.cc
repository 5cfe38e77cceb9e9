#include "server/serving/generator_loading.h"

#include <chrono>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/async/run_on_worker.h"
#include "server/files/regular_file.h"
#include "server/telemetry/log.h"

namespace predictd {
namespace {

constexpr int64_t kMaxChatTemplateBytes = 4 << 20;

// Null if there is no such file: not every model is for chats.
absl::StatusOr<std::shared_ptr<const ChatTemplate>> LoadChatTemplate(const std::filesystem::path& file) {
  const absl::StatusOr<std::string> text = ReadRegularFile(file, kMaxChatTemplateBytes);
  if (absl::IsNotFound(text.status())) return nullptr;
  absl::StatusOr<ChatTemplate> loaded = text.ok() ? ChatTemplate::Load(*text) : text.status();
  if (!loaded.ok()) {
    return absl::Status(loaded.status().code(),
                        absl::StrCat(file.filename().string(), ": ", loaded.status().message()));
  }
  return std::make_shared<const ChatTemplate>(*std::move(loaded));
}

// What a generator uses until it is gone.
struct GeneratorParts {
  std::unique_ptr<MemoryPlan::Claim> memory;
  std::shared_ptr<GeneratorObserver> observer;
};

// Logs how much memory the generator takes, and returns whether it fits.
absl::Status Admit(const ServedVersion& version, MemoryPlan::Claim& memory, int64_t weights, const CacheDemand& cache,
                   const MemoryPlan& plan) {
  const int64_t others = plan.taken() - weights;
  absl::Status status = memory.TakeCache(cache);
  Log(status.ok() ? LogLevel::kInfo : LogLevel::kWarning,
      status.ok() ? "memory of a generator" : "no memory for a generator",
      {{"model", version.model()},
       {"version", version.number()},
       {"weights", BytesName(weights)},
       {"slot", BytesName(cache.slot_bytes)},
       {"slots", cache.slots},
       {"prefix_slots", cache.prefix_slots},
       {"max_length", cache.max_length},
       {"cache_when_full", BytesName(cache.bytes())},
       {"other_models", BytesName(others)},
       {"server_and_callers", BytesName(plan.others())},
       {"limit", BytesName(plan.limit())}});
  return status;
}

absl::Status WarmUp(Generator& generator, const ServedVersion& version, const GeneratorResources& resources,
                    const std::atomic<bool>& stopping) {
  const TimePoint started = resources.clock.Now();
  // Between two runs the worker serves others.
  const auto run = [&](const std::function<void()>& function) { RunOnWorker(resources.pool, 0, function); };
  absl::Status status = generator.WarmUp(run, stopping);
  if (absl::IsCancelled(status)) return status;
  if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("warm-up failed (warmup = false in model.toml skips it): ", status.message()));
  }
  const auto took = std::chrono::duration<double, std::milli>(resources.clock.Now() - started);
  Log(LogLevel::kInfo, "generator is warm",
      {{"model", version.model()}, {"version", version.number()}, {"ms", took.count()}});
  return status;
}

// Formats the backends that run generators: "a generator is a TorchScript module, model.pt".
std::string WhatGeneratorsAre(absl::Span<const Backend> backends) {
  std::vector<std::string> kinds;
  for (const Backend& backend : backends) {
    if (backend.load_generator != nullptr) kinds.push_back(absl::StrCat(backend.format, ", ", backend.file_name));
  }
  return absl::StrCat("a generator is ", absl::StrJoin(kinds, "; or "));
}

}  // namespace

absl::StatusOr<GeneratorText> LoadGeneratorText(const VersionEntry& version, absl::Span<const Backend> backends) {
  if (version.backend->load_generator == nullptr) return absl::InvalidArgumentError(WhatGeneratorsAre(backends));
  const std::filesystem::path folder = version.file.parent_path();
  absl::StatusOr<std::shared_ptr<const Tokenizer>> tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) return tokenizer.status();
  absl::StatusOr<std::shared_ptr<const ChatTemplate>> chat = LoadChatTemplate(folder / "chat_template.json");
  if (!chat.ok()) return chat.status();
  return GeneratorText{*std::move(tokenizer), *std::move(chat)};
}

absl::StatusOr<std::shared_ptr<Generator>> LoadGenerator(const ServedVersion& version,
                                                         const GeneratorResources& resources,
                                                         const std::atomic<bool>& stopping) {
  const ModelConfig& config = version.config();
  const GeneratorConfig& generator = *config.generator;
  const int64_t weights = WeightBytes(version.entry().file);
  const auto parts = std::make_shared<GeneratorParts>();
  absl::StatusOr<std::unique_ptr<MemoryPlan::Claim>> memory = resources.memory.Take(weights);
  if (!memory.ok()) return memory.status();
  parts->memory = *std::move(memory);
  absl::StatusOr<GeneratorText> text = LoadGeneratorText(version.entry(), resources.backends);
  if (!text.ok()) return text.status();
  CacheDemand cache = {
      .slots = generator.slots, .prefix_slots = generator.prefix_slots, .max_length = generator.max_length};
  const auto admit = [&](int64_t slot_bytes) {
    cache.slot_bytes = slot_bytes;
    return Admit(version, *parts->memory, weights, cache, resources.memory);
  };
  absl::StatusOr<std::unique_ptr<GeneratorModel>> loaded = version.entry().backend->load_generator(
      version.entry().file, {.slots = generator.slots + generator.prefix_slots,
                             .max_length = generator.max_length,
                             .vocabulary = generator.vocabulary_size,
                             .threads = resources.pool.workers() * resources.intra_op_threads,
                             .admit = admit});
  if (!loaded.ok()) return loaded.status();
  parts->observer = resources.observer(version);
  const Generator::Options options = {.config = generator,
                                      .share = {.weight = config.weight, .workers_per_step = resources.pool.workers()},
                                      .queue_capacity = config.queue_capacity,
                                      .observer = parts->observer.get()};
  std::shared_ptr<Generator> made =
      resources.reaper.Own(std::make_unique<Generator>(*std::move(loaded), std::move(text->tokenizer),
                                                       std::move(text->chat), options, resources.pool, resources.clock),
                           parts);
  if (config.warmup) {
    absl::Status status = WarmUp(*made, version, resources, stopping);
    if (absl::IsResourceExhausted(status)) parts->memory->NoteRefused();
    if (!status.ok()) return status;
  }
  parts->memory->NoteServing();
  return made;
}

}  // namespace predictd
