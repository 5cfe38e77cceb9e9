#include "server/model/model_config.h"

#include <toml++/toml.h>

#include <algorithm>
#include <functional>
#include <sstream>
#include <string_view>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/files/table_reader.h"
#include "server/files/toml_file.h"
#include "server/model/generator_reader.h"
#include "server/model/signature_config.h"
#include "server/model/traffic_reader.h"
#include "server/model/warm_up_config.h"

namespace predictd {
namespace {

constexpr int64_t kMaxBatchSize = 1 << 20;
constexpr int64_t kMaxQueueCapacity = 10'000'000;
constexpr int64_t kMaxQueueBytes = int64_t{1} << 50;
constexpr int64_t kMaxConcurrency = 1024;
constexpr double kMinWeight = 0.01;
constexpr double kMaxWeight = 100;
constexpr absl::Duration kMaxQueueDelay = absl::Seconds(10);
// A smaller cache would hold next to nothing; such a number is more likely in the wrong unit.
constexpr int64_t kMinResponseCacheBytes = int64_t{64} << 10;
constexpr int64_t kMaxResponseCacheBytes = int64_t{1} << 40;

absl::StatusOr<VersionPolicy> ReadVersionPolicy(const toml::node& node) {
  VersionPolicy policy;
  const absl::Status bad = BadKey("version_policy", R"("latest", "all" or a list of version numbers)");
  if (const std::optional<std::string> name = node.value_exact<std::string>()) {
    if (*name != "latest" && *name != "all") return bad;
    policy.kind = *name == "latest" ? VersionPolicy::Kind::kLatest : VersionPolicy::Kind::kAll;
    return policy;
  }
  if (!node.is_array() || node.as_array()->empty()) return bad;
  policy.kind = VersionPolicy::Kind::kListed;
  for (const toml::node& entry : *node.as_array()) {
    const std::optional<int64_t> version = entry.value_exact<int64_t>();
    if (!version.has_value() || *version < 1) return bad;
    policy.listed.push_back(*version);
  }
  return policy;
}

// Labels are not numbers, so that a request may have either where there is only a text for both.
bool IsLabel(std::string_view name) {
  constexpr size_t kMaxLabel = 64;
  const auto allowed = [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && name.size() <= kMaxLabel && std::all_of(name.begin(), name.end(), allowed) &&
         !std::all_of(name.begin(), name.end(), absl::ascii_isdigit);
}

void ReadLabels(TableReader& reader, ModelConfig& config) {
  const toml::node* const node = reader.Find("labels");
  if (node == nullptr) return;
  const absl::string_view expected = "a table of names, each with the number of a version, as in {stable = 3}";
  if (!node->is_table()) return reader.Fail("labels", expected);
  for (const auto& [key, value] : *node->as_table()) {
    const std::optional<int64_t> version = value.value_exact<int64_t>();
    if (!IsLabel(key.str()) || !version.has_value() || *version < 1) return reader.Fail("labels", expected);
    config.labels.emplace(key.str(), *version);
  }
}

uint64_t Fingerprint(toml::table root) {
  root.erase("version_policy");
  root.erase("labels");
  root.erase("traffic");
  root.erase("idle_unload");
  std::ostringstream text;
  text << root;
  return absl::HashOf(text.str());
}

void ReadWeight(TableReader& reader, ModelConfig& config) {
  const toml::node* node = reader.Find("weight");
  if (node == nullptr) return;
  const std::optional<double> weight = node->value<double>();
  if (!weight.has_value() || !(*weight >= kMinWeight && *weight <= kMaxWeight)) {
    return reader.Fail("weight", absl::StrCat("a number, ", kMinWeight, " to ", kMaxWeight));
  }
  config.weight = *weight;
}

// Reads how long batches wait, and for which sizes. To be called after max_batch_size was read.
void ReadBatching(TableReader& reader, ModelConfig& config) {
  std::string delay = "0";
  const std::string expected_delay =
      absl::StrCat(R"(a duration as in "2ms", "0" to ")", absl::FormatDuration(kMaxQueueDelay), "\"");
  reader.Read<std::string>("max_queue_delay", expected_delay, delay);
  if (!absl::ParseDuration(delay, &config.max_queue_delay) || config.max_queue_delay < absl::ZeroDuration() ||
      config.max_queue_delay > kMaxQueueDelay) {
    reader.Fail("max_queue_delay", expected_delay);
  }
  const toml::node* sizes = reader.Find("preferred_batch_sizes");
  if (sizes == nullptr) return;
  const std::string expected = absl::StrCat("a list of sizes, 1 to ", config.signature.max_batch_size);
  if (!sizes->is_array()) return reader.Fail("preferred_batch_sizes", expected);
  for (const toml::node& entry : *sizes->as_array()) {
    const std::optional<int64_t> size = entry.value_exact<int64_t>();
    if (!size.has_value() || *size < 1 || *size > config.signature.max_batch_size) {
      return reader.Fail("preferred_batch_sizes", expected);
    }
    config.preferred_batch_sizes.push_back(*size);
  }
}

void ReadIdleUnload(TableReader& reader, ModelConfig& config) {
  const toml::node* const node = reader.Find("idle_unload");
  if (node == nullptr) return;
  constexpr absl::Duration kLeast = absl::Seconds(1);
  const std::optional<std::string> text = node->value_exact<std::string>();
  absl::Duration time;
  if (!text.has_value() || !absl::ParseDuration(*text, &time) || (time != absl::ZeroDuration() && time < kLeast)) {
    return reader.Fail("idle_unload", R"("0" (never) or a duration of at least "1s", as in "10m")");
  }
  config.idle_unload = time;
}

// Reads the keys that a generator does not have.
void ReadTensorModel(TableReader& reader, const std::filesystem::path& folder, ModelConfig& config) {
  reader.Read<bool>("batched", "true or false", config.signature.batched);
  reader.Read<int64_t>("queue_bytes", absl::StrCat("1 to ", kMaxQueueBytes), config.queue_bytes,
                       [](const int64_t& value) { return value >= 1 && value <= kMaxQueueBytes; });
  reader.Read<int64_t>("max_concurrency", absl::StrCat("0 to ", kMaxConcurrency), config.max_concurrency,
                       [](const int64_t& value) { return value >= 0 && value <= kMaxConcurrency; });
  reader.Read<int64_t>("response_cache_bytes",
                       absl::StrCat("0 (no cache) or ", kMinResponseCacheBytes, " to ", kMaxResponseCacheBytes),
                       config.response_cache_bytes, [](const int64_t& value) {
                         return value == 0 || (value >= kMinResponseCacheBytes && value <= kMaxResponseCacheBytes);
                       });
  reader.Read<bool>("allow_parallel_regions", "true or false", config.allow_parallel_regions);
  reader.Read<std::string>("method", "the name of a method", config.method,
                           [](const std::string& value) { return !value.empty(); });
  if (reader.Find("inference_mode") != nullptr) {
    reader.Read<bool>("inference_mode", "true or false", config.inference_mode.emplace());
  }
  if (!config.signature.batched) config.signature.max_batch_size = 1;
  const int64_t max_batch = config.signature.batched ? kMaxBatchSize : 1;
  reader.Read<int64_t>(
      "max_batch_size", config.signature.batched ? absl::StrCat("1 to ", max_batch) : "1, as batched = false",
      config.signature.max_batch_size, [max_batch](const int64_t& value) { return value >= 1 && value <= max_batch; });
  ReadBatching(reader, config);
  const toml::node* inputs = reader.Find("inputs");
  const toml::node* outputs = reader.Find("outputs");
  const absl::Status tensors = ReadTensors(inputs, outputs, config.signature);
  reader.Fail(tensors);
  const toml::node* samples = reader.Find("warmup_samples");
  if (tensors.ok()) reader.Fail(ReadWarmUpSamples(samples, folder, config.signature));
}

absl::StatusOr<ModelConfig> ParseTable(const toml::table& root, const std::filesystem::path& folder) {
  ModelConfig config;
  TableReader reader(root, "");
  std::string kind = "tensor";
  reader.Read<std::string>("kind", R"("tensor" or "generator")", kind,
                           [](const std::string& value) { return value == "tensor" || value == "generator"; });
  reader.Read<std::string>("description", "a string", config.description);
  reader.Read<bool>("warmup", "true or false", config.warmup);
  reader.Read<int64_t>("queue_capacity", absl::StrCat("1 to ", kMaxQueueCapacity), config.queue_capacity,
                       [](const int64_t& value) { return value >= 1 && value <= kMaxQueueCapacity; });
  ReadWeight(reader, config);
  ReadIdleUnload(reader, config);
  if (const toml::node* policy = reader.Find("version_policy")) {
    absl::StatusOr<VersionPolicy> read = ReadVersionPolicy(*policy);
    read.ok() ? void(config.version_policy = *read) : reader.Fail(read.status());
  }
  ReadLabels(reader, config);
  if (const toml::node* traffic = reader.Find("traffic")) {
    absl::StatusOr<TrafficSplit> read = ReadTraffic(*traffic, config.labels);
    read.ok() ? void(config.traffic = *std::move(read)) : reader.Fail(read.status());
  }
  config.fingerprint = Fingerprint(root);
  if (kind == "tensor") {
    ReadTensorModel(reader, folder, config);
  } else if (absl::StatusOr<GeneratorConfig> generator = ReadGenerator(reader.Find("generator")); generator.ok()) {
    config.generator = *std::move(generator);
  } else {
    reader.Fail(generator.status());
  }
  if (config.generator.has_value() && config.traffic.has_value()) {
    if (!config.traffic->shadow.empty()) reader.Fail("traffic.shadow", "none, as kind = \"generator\"");
    if (config.traffic->rollback.has_value()) reader.Fail("traffic.rollback", "none, as kind = \"generator\"");
  }
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  return config;
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> VersionPolicy::Choose(std::vector<int64_t> existing) const {
  if (existing.empty()) return absl::NotFoundError("there is no version folder (a folder named 1, 2, ...)");
  std::sort(existing.begin(), existing.end(), std::greater<>());
  switch (kind) {
    case Kind::kAll:
      return existing;
    case Kind::kLatest:
      existing.resize(1);
      return existing;
    case Kind::kListed:
      break;
  }
  std::vector<int64_t> chosen = listed;
  std::sort(chosen.begin(), chosen.end(), std::greater<>());
  chosen.erase(std::unique(chosen.begin(), chosen.end()), chosen.end());
  for (int64_t version : chosen) {
    if (!std::binary_search(existing.begin(), existing.end(), version, std::greater<>())) {
      return absl::NotFoundError(absl::StrCat("version_policy lists version ", version, ", which has no folder"));
    }
  }
  return chosen;
}

bool ModelConfig::HasWarmUpFiles() const {
  return std::any_of(signature.warmup_samples.begin(), signature.warmup_samples.end(), [](const WarmUpSample& sample) {
    return std::any_of(sample.begin(), sample.end(), [](const WarmUpInput& input) { return input.array.has_value(); });
  });
}

absl::StatusOr<std::vector<int64_t>> ModelConfig::Choose(const std::vector<int64_t>& existing) const {
  absl::StatusOr<std::vector<int64_t>> chosen = version_policy.Choose(existing);
  if (!chosen.ok()) return chosen.status();
  absl::Status missing;
  const auto add = [&](int64_t version, absl::string_view by) {
    if (std::find(existing.begin(), existing.end(), version) == existing.end()) {
      missing.Update(absl::NotFoundError(absl::StrCat(by, " stands for version ", version, ", which has no folder")));
    } else if (std::find(chosen->begin(), chosen->end(), version) == chosen->end()) {
      chosen->push_back(version);
    }
  };
  for (const auto& [label, version] : labels) add(version, absl::StrCat("labels.", label));
  if (traffic.has_value()) {
    traffic->ForEachVersion([&](const std::string& name) {
      if (const std::optional<int64_t> version = VersionNamed(name, labels)) add(*version, "traffic");
    });
  }
  if (!missing.ok()) return missing;
  std::sort(chosen->begin(), chosen->end(), std::greater<>());
  return chosen;
}

absl::StatusOr<ModelConfig> ModelConfig::Parse(absl::string_view text, const std::filesystem::path& folder) {
  const absl::StatusOr<toml::table> root = ParseToml(text);
  if (!root.ok()) return root.status();
  return ParseTable(*root, folder);
}

absl::StatusOr<ModelConfig> ModelConfig::Load(const std::filesystem::path& file) {
  const absl::StatusOr<toml::table> root = ReadTomlFile(file);
  absl::StatusOr<ModelConfig> config = root.ok() ? ParseTable(*root, file.parent_path()) : root.status();
  if (config.ok()) return config;
  return absl::Status(config.status().code(), absl::StrCat(file.filename().string(), ": ", config.status().message()));
}

}  // namespace predictd
