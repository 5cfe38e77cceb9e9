#include "client/predictctl/generation_report.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "client/predictctl/table.h"

namespace predictd {
namespace {

// "stop" for FINISH_REASON_STOP.
std::string FinishReasonText(v1::FinishReason reason) {
  const std::string name = v1::FinishReason_Name(reason);
  return absl::AsciiStrToLower(absl::StripPrefix(name, "FINISH_REASON_"));
}

std::string LogprobText(float logprob) {
  return absl::StrFormat("%.3f", logprob);
}

}  // namespace

std::string UsageText(const v1::GenerationUsage& usage, const std::vector<v1::FinishReason>& finish_reasons) {
  std::string text = absl::StrCat("prompt ", usage.prompt_tokens(), " tokens");
  if (usage.cached_prompt_tokens() > 0) absl::StrAppend(&text, ", ", usage.cached_prompt_tokens(), " of them cached");
  absl::StrAppend(&text, "; ", usage.generated_tokens(), " generated");
  if (usage.generated_tokens() > 0) {
    const google::protobuf::Duration& first = usage.time_to_first_token();
    absl::StrAppendFormat(&text, "; first after %.0f ms",
                          1e3 * static_cast<double>(first.seconds()) + 1e-6 * first.nanos());
  }
  if (usage.tokens_per_second() > 0) absl::StrAppendFormat(&text, "; %.1f tokens/s", usage.tokens_per_second());
  absl::StrAppend(&text,
                  "; finished: ", absl::StrJoin(finish_reasons, ", ", [](std::string* out, v1::FinishReason reason) {
                    absl::StrAppend(out, FinishReasonText(reason));
                  }));
  return text;
}

std::string LogprobsText(const google::protobuf::RepeatedPtrField<v1::GeneratedToken>& tokens) {
  Table table({"TOKEN", "LOGPROB", "LIKELIEST"});
  for (const v1::GeneratedToken& token : tokens) {
    const std::string likeliest =
        absl::StrJoin(token.top_logprobs(), ", ", [](std::string* out, const v1::TokenLogprob& other) {
          absl::StrAppend(out, other.id(), " ", LogprobText(other.logprob()));
        });
    table.AddRow({absl::StrCat(token.id()), LogprobText(token.logprob()), likeliest});
  }
  return table.Text();
}

}  // namespace predictd
