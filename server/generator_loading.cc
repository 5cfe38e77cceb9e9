#include "server/generator_loading.h"

#include <exception>
#include <future>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/files/regular_file.h"
#include "server/model/torch_generator.h"

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

}  // namespace

absl::StatusOr<std::shared_ptr<Generator>> LoadGenerator(const ModelConfig& config, const VersionEntry& version,
                                                         WorkerPool& pool, int intra_op_threads,
                                                         GeneratorObserver& observer, const Clock& clock,
                                                         const std::atomic<bool>& stopping) {
  if (version.backend != Backend::kTorchScript) {
    return absl::InvalidArgumentError("a generator is a TorchScript module, model.pt");
  }
  const GeneratorConfig& generator = *config.generator;
  const std::filesystem::path folder = version.file.parent_path();
  absl::StatusOr<std::shared_ptr<const Tokenizer>> tokenizer = Tokenizer::Load(folder);
  if (!tokenizer.ok()) return tokenizer.status();
  if ((*tokenizer)->size() > generator.vocabulary_size) {
    return absl::InvalidArgumentError(absl::StrCat("the tokenizer has ", (*tokenizer)->size(),
                                                   " tokens, and generator.vocabulary_size is ",
                                                   generator.vocabulary_size));
  }
  absl::StatusOr<std::shared_ptr<const ChatTemplate>> chat = LoadChatTemplate(folder / "chat_template.json");
  if (!chat.ok()) return chat.status();
  absl::StatusOr<std::unique_ptr<GeneratorModel>> model =
      LoadTorchGenerator(version.file, generator.slots + generator.prefix_slots, generator.max_length,
                         generator.vocabulary_size, pool.workers() * intra_op_threads);
  if (!model.ok()) return model.status();
  const Generator::Options options = {.config = generator,
                                      .share = {.weight = config.weight, .workers_per_step = pool.workers()},
                                      .queue_capacity = config.queue_capacity,
                                      .observer = &observer};
  auto made =
      std::make_shared<Generator>(*std::move(model), *std::move(tokenizer), *std::move(chat), options, pool, clock);
  if (!config.warmup) return made;
  std::promise<absl::Status> warm;
  pool.RunOn(0, [&] {
    try {
      warm.set_value(made->WarmUp(stopping));
    } catch (...) {
      warm.set_exception(std::current_exception());
    }
  });
  if (absl::Status status = warm.get_future().get(); absl::IsCancelled(status)) {
    return status;
  } else if (!status.ok()) {
    return absl::Status(status.code(),
                        absl::StrCat("warm-up failed (warmup = false in model.toml skips it): ", status.message()));
  }
  return made;
}

}  // namespace predictd
