#ifndef PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_
#define PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_

#include <cstdint>
#include <optional>
#include <vector>

namespace predictd {

// The table [generator] of a model.toml: what the server must know of a model that generates tokens.
struct GeneratorConfig {
  // Tokens that exist.
  int64_t vocabulary_size = 0;
  // Tokens of prompt and answer together.
  int64_t max_length = 0;
  // Sequences that run at once.
  int64_t slots = 16;
  // Further slots in which the beginnings of earlier sequences are kept for later ones.
  int64_t prefix_slots = 4;
  // Any of these ends an answer.
  std::vector<int32_t> end_token_ids = {};
  // What every prompt of plain text begins with.
  std::optional<int32_t> bos_token_id = {};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_GENERATOR_CONFIG_H_
