#ifndef PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_
#define PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "server/model/sampling_defaults.h"

namespace predictd {

// The table [generator] of a model.toml: what the server needs to know about a model that generates tokens.
struct GeneratorConfig {
  // The number of tokens in the vocabulary.
  int64_t vocabulary_size = 0;
  // The most tokens of prompt and answer together.
  int64_t max_length = 0;
  // The number of sequences that run at once.
  int64_t slots = 16;
  // Further slots, which keep the beginnings of earlier sequences for later ones.
  int64_t prefix_slots = 4;
  // Any of these ends an answer.
  std::vector<int32_t> end_token_ids = {};
  // The token that begins every prompt of plain text.
  std::optional<int32_t> bos_token_id = {};
  SamplingDefaults defaults = {};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_
