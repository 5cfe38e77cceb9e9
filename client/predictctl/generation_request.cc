#include "client/predictctl/generation_request.h"

namespace predictd {

v1::PredictStreamRequest GenerationRequestOf(const GenerationArguments& arguments) {
  v1::PredictStreamRequest request;
  v1::PredictRequest& predict = *request.mutable_predict();
  predict.set_model_name(arguments.model);
  predict.set_model_version(arguments.version);
  predict.set_model_label(arguments.label);
  predict.set_request_id(arguments.request_id);
  v1::GenerationRequest& generation = *predict.mutable_generation();
  if (arguments.max_tokens) generation.set_max_tokens(*arguments.max_tokens);
  if (arguments.temperature) generation.set_temperature(*arguments.temperature);
  if (arguments.top_k) generation.set_top_k(*arguments.top_k);
  if (arguments.top_p) generation.set_top_p(*arguments.top_p);
  if (arguments.min_p) generation.set_min_p(*arguments.min_p);
  if (arguments.repetition_penalty) generation.set_repetition_penalty(*arguments.repetition_penalty);
  if (arguments.presence_penalty) generation.set_presence_penalty(*arguments.presence_penalty);
  if (arguments.frequency_penalty) generation.set_frequency_penalty(*arguments.frequency_penalty);
  if (arguments.seed) generation.set_seed(*arguments.seed);
  generation.mutable_stop()->Add(arguments.stop.begin(), arguments.stop.end());
  generation.set_ignore_end(arguments.ignore_end);
  if (arguments.n) generation.set_n(*arguments.n);
  if (arguments.logprobs) generation.set_logprobs(*arguments.logprobs);
  return request;
}

}  // namespace predictd
