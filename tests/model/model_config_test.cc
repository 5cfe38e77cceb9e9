#include "server/model/model_config.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tests/fakes/temp_folder.h"

namespace predictd {
namespace {

constexpr char kMinimal[] = R"(
[[inputs]]
name = "x"
dtype = "FP32"
shape = [-1, 4]
[[outputs]]
name = "y"
dtype = "INT64"
shape = [-1]
)";

TEST(ModelConfigTest, EverythingButTheSignatureHasADefault) {
  const auto config = ModelConfig::Parse(kMinimal);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->description, "");
  EXPECT_TRUE(config->signature.batched);
  EXPECT_EQ(config->signature.max_batch_size, 64);
  EXPECT_EQ(config->queue_capacity, 1024);
  EXPECT_EQ(config->queue_bytes, 256 << 20);
  EXPECT_EQ(config->max_queue_delay, absl::ZeroDuration());
  EXPECT_TRUE(config->preferred_batch_sizes.empty());
  EXPECT_EQ(config->weight, 1);
  EXPECT_EQ(config->max_concurrency, 0);
  EXPECT_EQ(config->response_cache_bytes, 0);
  EXPECT_TRUE(config->warmup);
  EXPECT_EQ(config->method, "forward");
  EXPECT_FALSE(config->inference_mode.has_value());
  EXPECT_EQ(config->version_policy.kind, VersionPolicy::Kind::kLatest);
  ASSERT_EQ(config->signature.inputs.size(), 1U);
  EXPECT_EQ(config->signature.inputs[0].name, "x");
  EXPECT_EQ(config->signature.inputs[0].dtype, DType::kFp32);
  EXPECT_EQ(config->signature.inputs[0].shape, (Shape{-1, 4}));
  ASSERT_EQ(config->signature.outputs.size(), 1U);
  EXPECT_EQ(config->signature.outputs[0].dtype, DType::kInt64);
}

TEST(ModelConfigTest, EveryKeyIsRead) {
  const auto config = ModelConfig::Parse(R"(
kind = "tensor"
description = "What it does"
batched = true
max_batch_size = 32
queue_capacity = 7
queue_bytes = 4096
max_queue_delay = "2.5ms"
preferred_batch_sizes = [2, 4]
weight = 3
max_concurrency = 1
response_cache_bytes = 67_108_864
warmup = false
method = "encode"
inference_mode = false
version_policy = [3, 1]
inputs = [{name = "a", dtype = "BYTES", shape = [-1, -1]}, {name = "b", dtype = "BOOL", shape = [-1, 2, 3], optional = true}]
outputs = [{name = "y", dtype = "BF16", shape = [-1]}]
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->description, "What it does");
  EXPECT_EQ(config->signature.max_batch_size, 32);
  EXPECT_EQ(config->queue_capacity, 7);
  EXPECT_EQ(config->queue_bytes, 4096);
  EXPECT_EQ(config->max_queue_delay, absl::Microseconds(2500));
  EXPECT_EQ(config->preferred_batch_sizes, (std::vector<int64_t>{2, 4}));
  EXPECT_EQ(config->weight, 3);
  EXPECT_EQ(config->max_concurrency, 1);
  EXPECT_EQ(config->response_cache_bytes, 64 << 20);
  EXPECT_FALSE(config->warmup);
  EXPECT_EQ(config->version_policy.kind, VersionPolicy::Kind::kListed);
  EXPECT_EQ(config->version_policy.listed, (std::vector<int64_t>{3, 1}));
  EXPECT_EQ(config->method, "encode");
  EXPECT_EQ(config->inference_mode, std::optional<bool>(false));
  ASSERT_EQ(config->signature.inputs.size(), 2U);
  EXPECT_FALSE(config->signature.inputs[0].optional);
  EXPECT_EQ(config->signature.inputs[1].shape, (Shape{-1, 2, 3}));
  EXPECT_TRUE(config->signature.inputs[1].optional);
}

TEST(ModelConfigTest, ModelWithoutBatchesMayHaveNoInputs) {
  const auto config = ModelConfig::Parse(R"(
batched = false
inputs = []
outputs = [{name = "y", dtype = "FP32", shape = [4]}]
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_TRUE(config->signature.inputs.empty());
}

TEST(ModelConfigTest, VersionPolicyMayBeAWord) {
  EXPECT_EQ(ModelConfig::Parse(std::string("version_policy = \"all\"\n") + kMinimal)->version_policy.kind,
            VersionPolicy::Kind::kAll);
  EXPECT_EQ(ModelConfig::Parse(std::string("version_policy = \"latest\"\n") + kMinimal)->version_policy.kind,
            VersionPolicy::Kind::kLatest);
}

TEST(ModelConfigTest, ModelWithoutBatchesHasFixedShapesAndBatchesOfOne) {
  const auto config = ModelConfig::Parse(R"(
batched = false
inputs = [{name = "x", dtype = "FP32", shape = []}]
outputs = [{name = "y", dtype = "FP32", shape = [3, 3]}]
)");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_FALSE(config->signature.batched);
  EXPECT_EQ(config->signature.max_batch_size, 1);
  EXPECT_TRUE(config->signature.inputs[0].shape.empty());
}

TEST(ModelConfigTest, LimitsThemselvesAreAllowed) {
  const auto config =
      ModelConfig::Parse(std::string("max_batch_size = 1048576\nqueue_capacity = 10000000\n") + kMinimal);
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->signature.max_batch_size, 1048576);
  EXPECT_EQ(config->queue_capacity, 10000000);
}

TEST(ModelConfigTest, ResponseCacheMayBeOffOrOfAnySizeWithinItsLimits) {
  for (int64_t bytes : {int64_t{0}, int64_t{65536}, int64_t{1} << 40}) {
    const auto config = ModelConfig::Parse("response_cache_bytes = " + std::to_string(bytes) + "\n" + kMinimal);
    ASSERT_TRUE(config.ok()) << config.status();
    EXPECT_EQ(config->response_cache_bytes, bytes);
  }
}

TEST(ModelConfigTest, GeneratorHasItsOwnTable) {
  const absl::StatusOr<ModelConfig> config = ModelConfig::Parse(R"(
    kind = "generator"
    weight = 2
    [generator]
    vocabulary_size = 100
    max_length = 50
    slots = 3
    end_token_ids = [2, 7]
    bos_token_id = 1
    add_bos = true
  )");
  ASSERT_TRUE(config.ok()) << config.status();
  ASSERT_TRUE(config->generator.has_value());
  EXPECT_EQ(config->weight, 2);
  const GeneratorConfig& generator = *config->generator;
  EXPECT_EQ(generator.vocabulary_size, 100);
  EXPECT_EQ(generator.max_length, 50);
  EXPECT_EQ(generator.slots, 3);
  EXPECT_EQ(generator.prefix_slots, 4);
  EXPECT_EQ(generator.end_token_ids, (std::vector<int32_t>{2, 7}));
  EXPECT_EQ(generator.bos_token_id, 1);
  EXPECT_EQ(generator.defaults.temperature, 1);
  EXPECT_EQ(generator.defaults.top_p, 1);
}

TEST(ModelConfigTest, SamplingDefaultsAreThoseOfTheModel) {
  const absl::StatusOr<ModelConfig> config = ModelConfig::Parse(R"(
    kind = "generator"
    [generator]
    vocabulary_size = 100
    max_length = 50
    end_token_ids = []
    [generator.defaults]
    temperature = 0
    top_k = 40
    top_p = 0.95
    min_p = 0.1
    repetition_penalty = 1.25
    presence_penalty = -1
    frequency_penalty = 0.5
  )");
  ASSERT_TRUE(config.ok()) << config.status();
  const SamplingDefaults& defaults = config->generator->defaults;
  EXPECT_EQ(defaults.temperature, 0);
  EXPECT_EQ(defaults.top_k, 40);
  EXPECT_EQ(defaults.top_p, 0.95);
  EXPECT_EQ(defaults.min_p, 0.1);
  EXPECT_EQ(defaults.repetition_penalty, 1.25);
  EXPECT_EQ(defaults.presence_penalty, -1);
  EXPECT_EQ(defaults.frequency_penalty, 0.5);
}

TEST(ModelConfigTest, FileIsReadAndItsNameIsPartOfTheError) {
  const TempFolder folder;
  folder.Write("model.toml", kMinimal);
  EXPECT_TRUE(ModelConfig::Load(folder.path() / "model.toml").ok());
  folder.Write("model.toml", "kind = 3");
  EXPECT_EQ(ModelConfig::Load(folder.path() / "model.toml").status(),
            absl::InvalidArgumentError("model.toml: kind: expected \"tensor\" or \"generator\""));
  EXPECT_EQ(ModelConfig::Load(folder.path() / "missing.toml").status(),
            absl::NotFoundError("missing.toml: cannot be read: No such file or directory"));
}

TEST(ModelConfigTest, VersionsWithALabelAreServedWhateverThePolicySays) {
  const auto config = ModelConfig::Parse(absl::StrCat("labels = {stable = 2, canary-1 = 4}\n", kMinimal));
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->labels.at("stable"), 2);
  EXPECT_EQ(config->Choose({1, 2, 3, 4}).value(), (std::vector<int64_t>{4, 2}));
  EXPECT_EQ(config->Choose({2, 4, 5}).value(), (std::vector<int64_t>{5, 4, 2}));
  EXPECT_EQ(config->Choose({1, 2}).status(),
            absl::NotFoundError("labels.canary-1 stands for version 4, which has no folder"));
}

absl::StatusOr<ModelConfig> ParseTraffic(const std::string& traffic) {
  return ModelConfig::Parse(absl::StrCat("labels = {stable = 2, canary = 4}\ntraffic = ", traffic, "\n", kMinimal));
}

TEST(ModelConfigTest, TrafficIsRead) {
  const auto config = ParseTraffic(
      "{split = {stable = 90, canary = 10, 5 = 0}, shadow = {version = '3', fraction = 0.25}, "
      "rollback = {stable = 'stable', max_failure_excess = 0.05, max_latency_ratio = 2, min_requests = 50}}");
  ASSERT_TRUE(config.ok()) << config.status();
  const TrafficSplit expected = {
      .shares = {{"5", 0}, {"canary", 10}, {"stable", 90}},
      .shadow = "3",
      .shadow_fraction = 0.25,
      .rollback =
          RollbackRule{.stable = "stable", .max_failure_excess = 0.05, .max_latency_ratio = 2, .min_requests = 50}};
  EXPECT_EQ(config->traffic, expected);
  EXPECT_EQ(config->Choose({1, 2, 3, 4, 5, 6}).value(), (std::vector<int64_t>{6, 5, 4, 3, 2}))
      << "versions with traffic are served whatever the policy says";
  EXPECT_EQ(config->Choose({2, 4, 5}).status(),
            absl::NotFoundError("traffic stands for version 3, which has no folder"));
}

TEST(ModelConfigTest, WrongTrafficIsRefused) {
  const std::pair<const char*, const char*> kCases[] = {
      {"3", "traffic: expected a table"},
      {"{}", "traffic.split: expected"},
      {"{split = {}}", "traffic: shares: expected those of 1 to 16 versions, got 0"},
      {"{split = {stable = 0}}", "traffic: shares: expected a weight above 0"},
      {"{split = {stable = -1, canary = 1}}", "expected a weight from 0 to 1000000 for 'stable'"},
      {"{split = {stable = 1000001}}", "expected a weight from 0 to 1000000 for 'stable'"},
      {"{split = {stable = 0.5}}", "traffic.split: expected"},
      {"{split = {stabel = 1}}", "traffic: 'stabel' is neither the number of a version nor among the labels"},
      {"{split = {0 = 1}}", "traffic: '0' is neither the number of a version nor among the labels"},
      {"{split = {99999999999999999999 = 1}}", "is neither the number of a version nor among the labels"},
      {"{split = {stable = 1}, splt = 1}", "traffic.splt"},
      {"{split = {stable = 1}, shadow = 'canary'}", "traffic.shadow: expected a table"},
      {"{split = {stable = 1}, shadow = {version = 'canary'}}", "shadow: expected a version, and a fraction"},
      {"{split = {stable = 1}, shadow = {version = 'canary', fraction = 1.5}}", "shadow: expected"},
      {"{split = {stable = 1}, shadow = {version = 'canary', fraction = nan}}", "shadow: expected"},
      {"{split = {stable = 1}, shadow = {fraction = 0.5}}", "shadow: expected a version"},
      {"{split = {stable = 1}, rollback = {stable = 'stable'}}", "rollback: expected max_failure_excess or"},
      {"{split = {stable = 1}, rollback = {max_failure_excess = 0.1}}",
       "rollback: expected the version that is stable"},
      {"{split = {stable = 1}, rollback = {stable = 'stable', max_failure_excess = nan}}", "from 0 to 1"},
      {"{split = {stable = 1}, rollback = {stable = 'canary', max_failure_excess = 0.1}}", "has no share"},
      {"{split = {stable = 1}, rollback = {stable = 'stable', max_latency_ratio = 0.5}}", "from 1 to 1000000"},
      {"{split = {stable = 1}, rollback = {stable = 'stable', max_latency_ratio = 2, min_requests = 0}}", "at least 1"},
  };
  for (const auto& [traffic, message] : kCases) {
    const absl::Status status = ParseTraffic(traffic).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << traffic;
    EXPECT_NE(status.message().find(message), absl::string_view::npos) << traffic << ": " << status.message();
  }
}

TEST(ModelConfigTest, FingerprintChangesWithWhatAVersionIsLoadedBy) {
  const auto fingerprint = [](const std::string& more) {
    return ModelConfig::Parse(absl::StrCat(more, kMinimal)).value().fingerprint;
  };
  EXPECT_EQ(fingerprint("# a comment\n"), fingerprint(""));
  EXPECT_EQ(fingerprint("version_policy = 'all'\nlabels = {a = 1}\ntraffic = {split = {a = 1}}\n"), fingerprint(""));
  EXPECT_NE(fingerprint("max_batch_size = 3\n"), fingerprint(""));
  EXPECT_NE(fingerprint("description = 'a'\n"), fingerprint("description = 'b'\n"));
}

}  // namespace
}  // namespace predictd
