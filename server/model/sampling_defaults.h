#ifndef PREDICTD_SERVER_MODEL_SAMPLING_DEFAULTS_H_
#define PREDICTD_SERVER_MODEL_SAMPLING_DEFAULTS_H_

#include <cstdint>

namespace predictd {

// The largest values of sampling parameters that callers and models may ask for.
inline constexpr double kMaxTemperature = 100;
inline constexpr double kMaxPenalty = 2;
// Below this, what the penalty acts on has long been out of reach, and logits exceed what a float can hold.
inline constexpr double kMinRepetitionPenalty = 0.01;
inline constexpr double kMaxRepetitionPenalty = 10;

// The table [generator.defaults] of a model.toml: how the next token is chosen where a request does not say. Names,
// ranges and default values are those of the protocol.
struct SamplingDefaults {
  double temperature = 1;
  int64_t top_k = 0;
  double top_p = 1;
  double min_p = 0;
  double repetition_penalty = 1;
  double presence_penalty = 0;
  double frequency_penalty = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_MODEL_SAMPLING_DEFAULTS_H_
