#ifndef PREDICTD_TESTS_BENCH_ENGINE_KNOWN_CALLS_H_
#define PREDICTD_TESTS_BENCH_ENGINE_KNOWN_CALLS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "predictd/v1/prediction_service.pb.h"

namespace predictd::bench {

// A request whose right answer is known.
struct KnownCall {
  v1::PredictRequest request;
  v1::PredictResponse answer;
};

// Reads pairs of a PredictRequest and its PredictResponse; before each message stands its length in bytes as four
// little-endian bytes. INVALID_ARGUMENT if the file is anything else, or empty.
absl::StatusOr<std::vector<KnownCall>> ReadKnownCalls(const std::string& file);

// True if `answer` has the outputs of `known`: FP32 within a relative and absolute 1e-3, which leaves room for another
// order of summation in another batch; all other types bit for bit.
bool IsRightAnswer(const v1::PredictResponse& answer, const v1::PredictResponse& known);

}  // namespace predictd::bench

#endif  // PREDICTD_TESTS_BENCH_ENGINE_KNOWN_CALLS_H_
