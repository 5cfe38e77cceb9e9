#ifndef PREDICTD_SERVER_GENERATION_SEQUENCE_H_
#define PREDICTD_SERVER_GENERATION_SEQUENCE_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "server/generation/answer_stream.h"
#include "server/generation/generation.h"
#include "server/generation/sampler.h"
#include "server/generation/text_stream.h"
#include "server/generation/tokenizer.h"

namespace predictd {

// One answer on its way: the tokens so far, and how the next one is chosen and becomes text. Owned by the generator,
// used by its steps.
class Sequence {
 public:
  // The tokenizer outlives it. `end_tokens` are those that end the answer.
  Sequence(std::shared_ptr<const GenerationRequest> request, int index, std::shared_ptr<AnswerStream> stream,
           const Tokenizer& tokenizer, Sampler sampler, std::vector<int32_t> end_tokens);

  const GenerationRequest& request() const { return *request_; }
  AnswerStream& stream() { return *stream_; }
  bool stopped() const { return stream_->stopped(); }

  // Prompt and answer.
  absl::Span<const int32_t> tokens() const { return tokens_; }
  // How many of them are in the model's cache.
  int64_t computed() const { return computed_; }
  void AddComputed(int64_t tokens) { computed_ += tokens; }
  bool prompt_computed() const { return computed_ >= static_cast<int64_t>(request_->prompt.size()); }

  // Chooses the next token and puts what follows from it into the stream. Whether the answer goes on.
  bool Take(absl::Span<float> logits, SamplingWorkspace& workspace, TimePoint now);
  // When it took the one before; the clock's epoch if there was none.
  TimePoint last_token() const { return last_token_; }

 private:
  const std::shared_ptr<const GenerationRequest> request_;
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
