// A generator without a model, for the client's tests.
#ifndef PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_
#define PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_

#include <grpcpp/support/status.h>

#include <vector>

#include "predictd/v1/model_service.pb.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd {

inline constexpr int kFakeContext = 40;

// The test server's description of the generator.
v1::Model FakeGeneratorModel();

// INVALID_ARGUMENT, with the words of the real server, for a number of answers that is not 1 to 16, and for a chat of
// more than kFakeContext words.
grpc::Status CheckGeneration(const v1::PredictStreamRequest& request);

// All events of its stream. It answers with what it was asked (the text, or the last message), with one word in each
// piece and one token in each word, up to max_tokens of them; the pieces of n answers alternate. An answer whose index
// is not 0 begins with its index. Log probabilities are -0.5 for each token, and less by 1 for each alternative. The
// usage says that there were 12 prompt tokens, 8 of them cached.
std::vector<v1::PredictStreamResponse> FakeGeneration(const v1::PredictStreamRequest& request);

// Whether a question ends in "...": then the last word never comes, nor anything after it.
bool NeverEnds(const v1::PredictStreamRequest& request);

}  // namespace predictd

#endif  // PREDICTD_TESTS_CLIENT_FAKE_GENERATOR_H_
