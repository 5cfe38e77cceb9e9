// The statistics and the tokens of a generation, for people.
#ifndef PREDICTD_CLIENT_PREDICTCTL_GENERATION_REPORT_H_
#define PREDICTD_CLIENT_PREDICTCTL_GENERATION_REPORT_H_

#include <string>
#include <vector>

#include "google/protobuf/repeated_ptr_field.h"
#include "predictd/v1/generation.pb.h"

namespace predictd {

// "prompt 12 tokens, 8 of them cached; 45 generated; first after 120 ms; 83.1 tokens/s; finished: stop", without a
// newline, with the finish reason of each answer.
std::string UsageText(const v1::GenerationUsage& usage, const std::vector<v1::FinishReason>& finish_reasons);

// A table of tokens with their log probabilities and those of the likeliest tokens.
std::string LogprobsText(const google::protobuf::RepeatedPtrField<v1::GeneratedToken>& tokens);

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_GENERATION_REPORT_H_
