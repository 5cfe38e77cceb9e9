#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "server/model/model_config.h"

namespace predictd {
namespace {

// A file that is right except for the text at its beginning or for one of its tables.
struct BadFile {
  const char* text;
  // The complete error, so that it is clear what to do.
  const char* error;
  const char* inputs = R"([{name = "x", dtype = "FP32", shape = [-1, 4]}])";
  const char* outputs = R"([{name = "y", dtype = "FP32", shape = [-1]}])";
};

std::ostream& operator<<(std::ostream& out, const BadFile& c) {
  return out << c.text << ' ' << (c.inputs == nullptr ? "" : c.inputs);
}

class BadModelConfig : public testing::TestWithParam<BadFile> {};

TEST_P(BadModelConfig, NamesTheKeyAndWhatIsExpected) {
  std::string text = std::string(GetParam().text) + "\n";
  if (GetParam().inputs != nullptr) text += std::string("inputs = ") + GetParam().inputs + "\n";
  if (GetParam().outputs != nullptr) text += std::string("outputs = ") + GetParam().outputs + "\n";
  EXPECT_EQ(ModelConfig::Parse(text).status(), absl::InvalidArgumentError(GetParam().error)) << text;
}

constexpr char kShape[] = "inputs[0].shape: expected a list of extents, each -1 (any) or at least 1";
constexpr char kBatchFirst[] = "inputs[0].shape: expected -1 first, as the model is batched (or set batched = false)";
constexpr char kDType[] =
    "inputs[0].dtype: expected one of BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES";
constexpr char kRange[] =
    "inputs[0].range: expected [least, most], two numbers that INT64 can hold, the first no more than the second";
constexpr char kLabels[] = "labels: expected a table of names, each with the number of a version, as in {stable = 3}";
constexpr char kPolicy[] = R"(version_policy: expected "latest", "all" or a list of version numbers)";
constexpr char kQueue[] = "queue_capacity: expected 1 to 10000000";
constexpr char kWeight[] = "weight: expected a number, 0.01 to 100";
constexpr char kDelay[] = R"(max_queue_delay: expected a duration as in "2ms", "0" to "10s")";
constexpr char kCache[] = "response_cache_bytes: expected 0 (no cache) or 65536 to 1099511627776";
constexpr char kBatch[] = "max_batch_size: expected 1 to 1048576";
constexpr char kTooLarge[] =
    "inputs[0].shape: expected at most 2147483648 elements, which is more than a message can hold";
constexpr char kUnknown[] =
    ": unknown key; known are allow_parallel_regions, batched, description, idle_unload, inference_mode, inputs, kind, "
    "labels, max_batch_size, max_concurrency, max_queue_delay, method, outputs, preferred_batch_sizes, queue_bytes, "
    "queue_capacity, response_cache_bytes, traffic, version_policy, warmup, warmup_samples, weight";

BadFile Inputs(const char* inputs, const char* error) {
  return {"", error, inputs};
}

const std::string kUnknownBatchSize = std::string("batch_size") + kUnknown;
const std::string kUnknownTable = std::string("batching") + kUnknown;

const BadFile kBadFiles[] = {
    {"kind = \"generator\"", R"(generator: expected a table, as kind = "generator")"},
    {"kind = \"generator\"\ngenerator = {vocabulary_size = 9}",
     "generator.max_length: expected the most tokens of prompt and answer"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 0}",
     "generator.vocabulary_size: expected 1 to 16777216"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 9}",
     "generator.end_token_ids: expected a list of token ids, 0 to 8"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 9, end_token_ids = [9]}",
     "generator.end_token_ids: expected a list of token ids, 0 to 8"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 9, end_token_ids = [2], add_bos = true}",
     "generator.bos_token_id: expected a token id, as add_bos = true"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 9, end_token_ids = [2], slot = 1}",
     "generator.slot: unknown key; known are add_bos, bos_token_id, defaults, end_token_ids, max_length, prefix_slots, "
     "slots, vocabulary_size"},
    {"kind = \"generator\"\ngenerator = {max_length = 9, vocabulary_size = 9, end_token_ids = [2]}",
     "inputs: unknown key; known are description, generator, idle_unload, kind, labels, queue_capacity, traffic, "
     "version_policy, warmup, weight"},
    {"kind = 1", R"(kind: expected "tensor" or "generator")"},
    {"description = 1", "description: expected a string"},
    {"batched = \"yes\"", "batched: expected true or false"},
    {"inference_mode = 1", "inference_mode: expected true or false"},
    {"method = \"\"", "method: expected the name of a method"},
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1], optional = true}])",
           "inputs: expected at least one that is not optional, as its rows are counted"),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, -1], pad_to = [8], optional = true}])",
           "inputs[0].optional: expected false, as the lengths of requests and their masks are taken from the input"),
    Inputs("[]", "inputs: expected at least one [[inputs]] table"),
    {"batched = 1", "batched: expected true or false"},
    {"warmup = \"no\"", "warmup: expected true or false"},
    {"allow_parallel_regions = 1", "allow_parallel_regions: expected true or false"},
    {"max_batch_size = 0", kBatch},
    {"max_batch_size = -1", kBatch},
    {"max_batch_size = 1048577", kBatch},
    {"max_batch_size = 1.5", kBatch},
    {"max_batch_size = \"64\"", kBatch},
    {"batched = false\nmax_batch_size = 2", "max_batch_size: expected 1, as batched = false"},
    {"queue_capacity = 0", kQueue},
    {"queue_capacity = -5", kQueue},
    {"queue_capacity = 10000001", kQueue},
    {"queue_capacity = true", kQueue},
    {"queue_bytes = 0", "queue_bytes: expected 1 to 1125899906842624"},
    {"max_concurrency = -1", "max_concurrency: expected 0 to 1024"},
    {"weight = 0", kWeight},
    {"weight = 101", kWeight},
    {"weight = nan", kWeight},
    {"weight = \"2\"", kWeight},
    {"max_queue_delay = 2", kDelay},
    {"max_queue_delay = \"2\"", kDelay},
    {"max_queue_delay = \"-1ms\"", kDelay},
    {"max_queue_delay = \"11s\"", kDelay},
    {"preferred_batch_sizes = 8", "preferred_batch_sizes: expected a list of sizes, 1 to 64"},
    {"max_batch_size = 4\npreferred_batch_sizes = [2, 8]", "preferred_batch_sizes: expected a list of sizes, 1 to 4"},
    {"response_cache_bytes = -1", kCache},
    {"response_cache_bytes = 64", kCache},
    {"response_cache_bytes = 65535", kCache},
    {"response_cache_bytes = 1099511627777", kCache},
    {"response_cache_bytes = \"64 MiB\"", kCache},
    {"response_cache_bytes = true", kCache},
    {"version_policy = \"newest\"", kPolicy},
    {"version_policy = 3", kPolicy},
    {"version_policy = []", kPolicy},
    {"version_policy = [0]", kPolicy},
    {"version_policy = [1, \"2\"]", kPolicy},
    {"version_policy = [1.0]", kPolicy},
    {"labels = 3", kLabels},
    {"labels = {stable = 0}", kLabels},
    {"labels = {stable = \"3\"}", kLabels},
    {"labels = {3 = 3}", kLabels},
    {"labels = {\"a b\" = 3}", kLabels},
    {"labels = {\"\" = 3}", kLabels},
    {"batch_size = 3", kUnknownBatchSize.c_str()},
    {"batching.max = 3", kUnknownTable.c_str()},
    {"", "inputs: expected at least one [[inputs]] table", nullptr},
    {"", "outputs: expected at least one [[outputs]] table", R"([{name = "x", dtype = "FP32", shape = [-1]}])",
     nullptr},
    {"", "outputs: expected at least one [[outputs]] table", R"([{name = "x", dtype = "FP32", shape = [-1]}])", "[]"},
    Inputs("[]", "inputs: expected at least one [[inputs]] table"),
    Inputs("3", "inputs: expected at least one [[inputs]] table"),
    Inputs("[3]", "inputs: expected at least one [[inputs]] table"),
    Inputs(R"([{dtype = "FP32", shape = [-1]}])", "inputs[0].name: expected a name"),
    Inputs(R"([{name = "", dtype = "FP32", shape = [-1]}])", "inputs[0].name: expected a name"),
    Inputs(R"([{name = 3, dtype = "FP32", shape = [-1]}])", "inputs[0].name: expected a name"),
    Inputs(R"([{name = "x", shape = [-1]}])", kDType),
    Inputs(R"([{name = "x", dtype = "float", shape = [-1]}])", kDType),
    Inputs(R"([{name = "x", dtype = "fp32", shape = [-1]}])", kDType),
    Inputs(R"([{name = "x", dtype = 32, shape = [-1]}])", "inputs[0].dtype: expected a name of a type"),
    Inputs(R"([{name = "x", dtype = "FP32"}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = 4}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, 0]}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, -2]}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, 2.0]}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, "n"]}])", kShape),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [4]}])", kBatchFirst),
    Inputs(R"([{name = "x", dtype = "FP32", shape = []}])", kBatchFirst),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, 2147483649]}])", kTooLarge),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, 9223372036854775807, 9223372036854775807]}])", kTooLarge),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1], rank = 1}])",
           "inputs[0].rank: unknown key; known are allow_empty, dtype, mask_of, name, optional, pad_like, pad_to, "
           "pad_value, "
           "range, shape, warmup_shape, warmup_values"),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, -1], allow_empty = 1}])",
           "inputs[0].allow_empty: expected true or false"),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1, 4], allow_empty = true}])",
           "inputs[0].allow_empty: expected false, as no dimension but the rows is open"),
    {"batched = false", "inputs[0].allow_empty: expected false, as no dimension is open",
     R"([{name = "x", dtype = "FP32", shape = [2], allow_empty = true}])"},
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = 9}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = []}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = [0]}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = [0, 1, 2]}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = [1, 0]}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = [0, 1.5]}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = ["0", "9"]}])", kRange),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1], range = [false, true]}])", kRange),
    Inputs(
        R"([{name = "x", dtype = "INT8", shape = [-1], range = [0, 128]}])",
        "inputs[0].range: expected [least, most], two numbers that INT8 can hold, the first no more than the second"),
    Inputs(
        R"([{name = "x", dtype = "FP32", shape = [-1], range = [nan, nan]}])",
        "inputs[0].range: expected [least, most], two numbers that FP32 can hold, the first no more than the second"),
    Inputs(R"([{name = "x", dtype = "BOOL", shape = [-1], range = [0, 1]}])",
           "inputs[0].range: expected none, as BOOL has no order"),
    Inputs(R"([{name = "x", dtype = "BYTES", shape = [-1], range = [0, 1]}])",
           "inputs[0].range: expected none, as BYTES has no order"),
    Inputs(R"([{name = "x", dtype = "INT64", shape = [-1, -1], pad_to = [4], range = [1, 9]}])",
           "inputs[0].pad_value: expected a value in range"),
    Inputs(R"([{name = "m", dtype = "INT64", shape = [-1, -1], mask_of = "x", range = [0, 1]}])",
           "inputs[0].mask_of: expected no range and no allow_empty, as nobody sends a mask"),
    {"", "outputs[0].range: unknown key; known are dtype, name, optional, shape, unpad",
     R"([{name = "x", dtype = "FP32", shape = [-1]}])",
     R"([{name = "y", dtype = "FP32", shape = [-1], range = [0, 1]}])"},
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1]}, {name = "x", dtype = "FP32", shape = [-1]}])",
           "inputs[1].name: expected a name that no other has"),
    Inputs(R"([{name = "x", dtype = "FP32", shape = [-1]}, {name = "z", dtype = "FP32", shape = [-1, 0]}])",
           "inputs[1].shape: expected a list of extents, each -1 (any) or at least 1"),
};

INSTANTIATE_TEST_SUITE_P(Table, BadModelConfig, testing::ValuesIn(kBadFiles));

TEST(BadModelConfigSyntax, NamesTheLine) {
  const absl::Status status = ModelConfig::Parse("kind = \"tensor\"\nmax_batch_size = = 3\n").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().substr(0, 7), "line 2:") << status;
}

// Names and descriptions go into answers, which become unreadable as a whole if they contain invalid text.
TEST(BadModelConfigSyntax, TextThatIsNotUtf8IsAnError) {
  for (const char* text : {"description = \"mod\xe8le\"\n", "inputs = [{name = \"\xc3(\"}]\n", "# \xff\n"}) {
    EXPECT_EQ(ModelConfig::Parse(text).status().code(), absl::StatusCode::kInvalidArgument) << text;
  }
}

TEST(BadModelConfigSyntax, KeyThatIsThereTwiceIsAnError) {
  const absl::Status status = ModelConfig::Parse("warmup = true\nwarmup = false\n").status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(status.message().find("warmup"), absl::string_view::npos) << status;
}

// Numbers at the limits, and values that are not integers at all.
TEST(ModelConfigErrorsTest, KeyOfANumberAtTheEdgesIsNamed) {
  const std::vector<std::string> bad = {
      "-1", "9223372036854775807", "-9223372036854775808", "nan", "inf", "-inf", "1.0", "1e300", "true", "\"1\""};
  const std::vector<std::string> keys = {"vocabulary_size", "max_length", "slots", "prefix_slots", "bos_token_id"};
  for (const std::string& value : bad) {
    for (const std::string& wrong : keys) {
      std::string text = "kind = \"generator\"\n[generator]\nend_token_ids = [2]\n";
      for (const std::string& key : keys)
        text.append(key).append(" = ").append(key == wrong ? value : "8").append("\n");
      const absl::Status status = ModelConfig::Parse(text).status();
      EXPECT_EQ(status.message().substr(0, 10 + wrong.size()), "generator." + wrong) << value << ": " << status;
    }
    for (const std::string key : {"queue_capacity", "weight"}) {
      if (key == "weight" && value == "1.0") continue;
      const absl::Status status = ModelConfig::Parse(absl::StrCat(key, " = ", value)).status();
      EXPECT_EQ(status.message().substr(0, key.size()), key) << value << ": " << status;
    }
  }
}

TEST(ModelConfigErrorsTest, SamplingDefaultOutOfItsRangeIsNamed) {
  const auto parse = [](const std::string& defaults) {
    return ModelConfig::Parse(
               "kind = \"generator\"\n[generator]\nend_token_ids = [2]\nvocabulary_size = 8\nmax_length = 8\n" +
               defaults)
        .status();
  };
  const std::vector<std::pair<std::string, std::vector<std::string>>> bad = {
      {"temperature", {"-0.1", "100.1", "nan", "inf", "true", "\"1\"", "[1]"}},
      {"top_k", {"-1", "1.0", "nan", "true", "\"1\""}},
      {"top_p", {"0", "0.0", "1.01", "-1", "nan"}},
      {"min_p", {"-0.1", "1.01", "nan"}},
      {"repetition_penalty", {"0", "0.009", "10.1", "-1", "nan"}},
      {"presence_penalty", {"-2.1", "2.1", "nan"}},
      {"frequency_penalty", {"-2.1", "2.1", "nan"}},
  };
  for (const auto& [key, values] : bad) {
    for (const std::string& value : values) {
      const absl::Status status = parse(absl::StrCat("[generator.defaults]\n", key, " = ", value));
      EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << key << " = " << value;
      EXPECT_EQ(status.message().substr(0, 19 + key.size() + 11),
                absl::StrCat("generator.defaults.", key, ": expected "))
          << value;
    }
  }
  EXPECT_EQ(parse("defaults = 1").message(), "generator.defaults: expected a table of sampling parameters");
  EXPECT_EQ(parse("[generator.defaults]\nseed = 1").message(),
            "generator.defaults.seed: unknown key; known are frequency_penalty, min_p, presence_penalty, "
            "repetition_penalty, temperature, top_k, top_p");
}

}  // namespace
}  // namespace predictd
