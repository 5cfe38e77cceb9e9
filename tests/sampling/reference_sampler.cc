#include "tests/sampling/reference_sampler.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

namespace predictd {
namespace {

std::vector<double> Penalised(const std::vector<float>& logits, const SamplingOptions& options,
                              const std::vector<int32_t>& prompt, const std::vector<int32_t>& output) {
  std::vector<double> result(logits.begin(), logits.end());
  for (const auto& [id, bias] : options.logit_bias) result[id] += bias;
  std::set<int32_t> seen(prompt.begin(), prompt.end());
  seen.insert(output.begin(), output.end());
  for (int32_t id : seen) {
    result[id] = result[id] > 0 ? result[id] / options.repetition_penalty : result[id] * options.repetition_penalty;
  }
  std::map<int32_t, int> counts;
  for (int32_t id : output) ++counts[id];
  for (const auto& [id, count] : counts) result[id] -= options.frequency_penalty * count + options.presence_penalty;
  return result;
}

std::vector<double> Softmax(const std::vector<double>& logits) {
  const double max = *std::max_element(logits.begin(), logits.end());
  std::vector<double> result;
  for (double logit : logits) result.push_back(std::exp(logit - max));
  const double sum = std::accumulate(result.begin(), result.end(), 0.0);
  for (double& probability : result) probability /= sum;
  return result;
}

}  // namespace

ReferenceStep ReferenceSample(const std::vector<float>& logits, const SamplingOptions& options,
                              const std::vector<int32_t>& prompt, const std::vector<int32_t>& output) {
  ReferenceStep step;
  step.logits = Penalised(logits, options, prompt, output);
  for (double probability : Softmax(step.logits)) step.logprobs.push_back(std::log(probability));
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&step](size_t a, size_t b) { return step.logits[a] > step.logits[b]; });
  step.probabilities.assign(logits.size(), 0);
  if (options.temperature == 0) {
    step.probabilities[order[0]] = 1;
    return step;
  }

  std::vector<double> scaled;
  for (size_t id : order) scaled.push_back((step.logits[id] - step.logits[order[0]]) / options.temperature);
  if (options.top_k > 0) scaled.resize(std::min<size_t>(scaled.size(), options.top_k));
  const std::vector<double> of_top_k = Softmax(scaled);
  double sum = 0;
  size_t kept = 0;
  while (kept < scaled.size() && (kept == 0 || sum < options.top_p)) sum += of_top_k[kept++];
  while (kept > 1 && of_top_k[kept - 1] < options.min_p * of_top_k[0]) --kept;
  scaled.resize(kept);
  const std::vector<double> kept_only = Softmax(scaled);
  for (size_t i = 0; i < kept; ++i) step.probabilities[order[i]] = kept_only[i];
  return step;
}

}  // namespace predictd
