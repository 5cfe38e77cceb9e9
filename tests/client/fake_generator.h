// A generator without a model, for the client's tests.
#ifndef PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_
#define PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_

#include <vector>

#include "predictd/v1/model_service.pb.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

// How the test server describes it.
v1::Model FakeGeneratorModel();

// All events of its stream. Its answer is what it was asked (the text, or the last message), a word in each piece and a
// token in each word, up to max_tokens of them; the pieces of n answers come by turns. An answer with another index
// than 0 says so in front. Log probabilities are -0.5 for each token, and less by 1 for each alternative. The usage
// says that 12 prompt tokens were given, 8 of them cached.
std::vector<v1::PredictStreamResponse> FakeGeneration(const v1::PredictStreamRequest& request);

// Whether a question ends in "...": then the last word does not come, nor anything after it.
bool NeverEnds(const v1::PredictStreamRequest& request);

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_
