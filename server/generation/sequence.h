#ifndef PREDICTD_SERVER_GENERATION_SEQUENCE_H_
#define PREDICTD_SERVER_GENERATION_SEQUENCE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "server/generation/answer_stream.h"
#include "server/generation/generation.h"
#include "server/generation/text_stream.h"
#include "server/sampling/sampler.h"
#include "server/tokenizer/tokenizer.h"

namespace predictd {

// One answer in progress: its tokens so far, how the next one is chosen, and how tokens become text. The generator owns
// it, and its steps use it.
class Sequence {
 public:
  // The tokenizer must outlive it. Each of `end_tokens` ends the answer.
  Sequence(std::shared_ptr<const EncodedRequest> request, int index, std::shared_ptr<AnswerStream> stream,
           const Tokenizer& tokenizer, Sampler sampler, std::vector<int32_t> end_tokens);

  const EncodedRequest& request() const { return *request_; }
  AnswerStream& stream() { return *stream_; }
  bool stopped() const { return stream_->stopped(); }

  // The tokens of the prompt and the answer.
  absl::Span<const int32_t> tokens() const { return tokens_; }
  // How many of the tokens are in the model's KV cache.
  int64_t computed() const { return computed_; }
  void AddComputed(int64_t tokens) { computed_ += tokens; }

  // Chooses the next token and puts what follows from it into the stream. Returns whether the answer goes on.
  bool ChooseToken(absl::Span<float> logits, SamplingWorkspace& workspace, TimePoint now);
  // When the previous token was chosen; the clock's epoch if there was none.
  TimePoint last_token() const { return last_token_; }

 private:
  const std::shared_ptr<const EncodedRequest> request_;
  const int index_;
  const std::shared_ptr<AnswerStream> stream_;
  const std::vector<int32_t> end_tokens_;
  Sampler sampler_;
  TextStream text_;
  std::vector<int32_t> tokens_;
  int64_t computed_ = 0;
  TimePoint last_token_{};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_SEQUENCE_H_
