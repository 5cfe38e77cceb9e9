#include "server/model/generator_reader.h"

#include <limits>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/files/table_reader.h"

namespace predictd {
namespace {

constexpr int64_t kMaxVocabulary = 1 << 24;
constexpr int64_t kMaxLength = 1 << 24;
constexpr int64_t kMaxSlots = 1024;

void ReadCount(TableReader& reader, absl::string_view key, int64_t least, int64_t most, int64_t& value) {
  reader.Read<int64_t>(key, absl::StrCat(least, " to ", most), value,
                       [=](const int64_t& read) { return read >= least && read <= most; });
}

void ReadEndTokens(TableReader& reader, GeneratorConfig& config) {
  const toml::node* ids = reader.Find("end_token_ids");
  const std::string expected = absl::StrCat("a list of token ids, 0 to ", config.vocabulary_size - 1);
  if (ids == nullptr || !ids->is_array()) return reader.Fail("end_token_ids", expected);
  for (const toml::node& entry : *ids->as_array()) {
    const std::optional<int64_t> id = entry.value_exact<int64_t>();
    if (!id.has_value() || *id < 0 || *id >= config.vocabulary_size) return reader.Fail("end_token_ids", expected);
    config.end_token_ids.push_back(static_cast<int32_t>(*id));
  }
}

void ReadBos(TableReader& reader, GeneratorConfig& config) {
  bool add = false;
  reader.Read<bool>("add_bos", "true or false", add);
  int64_t id = -1;
  reader.Read<int64_t>("bos_token_id", absl::StrCat("a token id, 0 to ", config.vocabulary_size - 1), id,
                       [&](const int64_t& read) { return read >= 0 && read < config.vocabulary_size; });
  if (!add) return;
  if (id < 0) return reader.Fail("bos_token_id", "a token id, as add_bos = true");
  config.bos_token_id = static_cast<int32_t>(id);
}

// Integers are accepted as well.
void ReadNumber(TableReader& reader, absl::string_view key, absl::string_view expected, double least, double most,
                double& value) {
  const toml::node* node = reader.Find(key);
  if (node == nullptr) return;
  const std::optional<double> read = node->is_number() ? node->value<double>() : std::nullopt;
  // Written so that NaN fails, since every comparison with NaN is false.
  if (!read.has_value() || !(*read >= least && *read <= most)) return reader.Fail(key, expected);
  value = *read;
}

absl::Status ReadDefaults(const toml::node* node, SamplingDefaults& defaults) {
  if (node == nullptr) return absl::OkStatus();
  if (!node->is_table()) return BadKey("generator.defaults", "a table of sampling parameters");
  TableReader reader(*node->as_table(), "generator.defaults.");
  ReadNumber(reader, "temperature", "0 to 100", 0, kMaxTemperature, defaults.temperature);
  reader.Read<int64_t>("top_k", "at least 1, or 0 for all tokens", defaults.top_k,
                       [](const int64_t& read) { return read >= 0; });
  ReadNumber(reader, "top_p", "more than 0 and at most 1", std::numeric_limits<double>::denorm_min(), 1,
             defaults.top_p);
  ReadNumber(reader, "min_p", "0 to 1", 0, 1, defaults.min_p);
  ReadNumber(reader, "repetition_penalty", "0.01 to 10", kMinRepetitionPenalty, kMaxRepetitionPenalty,
             defaults.repetition_penalty);
  ReadNumber(reader, "presence_penalty", "-2 to 2", -kMaxPenalty, kMaxPenalty, defaults.presence_penalty);
  ReadNumber(reader, "frequency_penalty", "-2 to 2", -kMaxPenalty, kMaxPenalty, defaults.frequency_penalty);
  return reader.Finish();
}

}  // namespace

absl::StatusOr<GeneratorConfig> ReadGenerator(const toml::node* node) {
  if (node == nullptr || !node->is_table()) return BadKey("generator", "a table, as kind = \"generator\"");
  GeneratorConfig config;
  TableReader reader(*node->as_table(), "generator.");
  ReadCount(reader, "vocabulary_size", 1, kMaxVocabulary, config.vocabulary_size);
  ReadCount(reader, "max_length", 2, kMaxLength, config.max_length);
  if (config.vocabulary_size == 0) reader.Fail("vocabulary_size", "the number of tokens");
  if (config.max_length == 0) reader.Fail("max_length", "the most tokens of prompt and answer");
  ReadCount(reader, "slots", 1, kMaxSlots, config.slots);
  ReadCount(reader, "prefix_slots", 0, kMaxSlots, config.prefix_slots);
  ReadEndTokens(reader, config);
  ReadBos(reader, config);
  reader.Fail(ReadDefaults(reader.Find("defaults"), config.defaults));
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  return config;
}

}  // namespace predictd
