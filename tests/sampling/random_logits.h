#ifndef PREDICTD_TESTS_SAMPLING_RANDOM_LOGITS_H_
#define PREDICTD_TESTS_SAMPLING_RANDOM_LOGITS_H_

#include <cstddef>
#include <random>
#include <vector>

namespace predictd {

// Normally distributed, with a few far above the others: as a language model's are.
inline std::vector<float> RandomLogits(size_t size, std::mt19937& random) {
  std::normal_distribution<float> common(0, 2);
  std::vector<float> logits(size);
  for (float& logit : logits) logit = common(random);
  for (size_t i = 0; i < 1 + size / 500; ++i)
    logits[random() % size] += 8.0F * static_cast<float>(random() % 1000) / 1000;
  return logits;
}

}  // namespace predictd

#endif  // PREDICTD_TESTS_SAMPLING_RANDOM_LOGITS_H_
