#include "server/generation/sequence.h"

#include <algorithm>
#include <utility>

namespace predictd {

Sequence::Sequence(std::shared_ptr<const EncodedRequest> request, int index, std::shared_ptr<AnswerStream> stream,
                   const Tokenizer& tokenizer, Sampler sampler, std::vector<int32_t> end_tokens)
    : request_(std::move(request)),
      index_(index),
      stream_(std::move(stream)),
      end_tokens_(std::move(end_tokens)),
      sampler_(std::move(sampler)),
      text_(tokenizer, request_->options.stop, request_->prompt),
      tokens_(request_->prompt) {}

bool Sequence::ChooseToken(absl::Span<float> logits, SamplingWorkspace& workspace, TimePoint now) {
  absl::StatusOr<SampledToken> token = sampler_.Next(logits, workspace);
  if (!token.ok()) {
    stream_->Stop(token.status());
    return false;
  }
  last_token_ = now;
  const int32_t id = token->id;
  const bool ends = std::find(end_tokens_.begin(), end_tokens_.end(), id) != end_tokens_.end();
  tokens_.push_back(id);
  TextStream::Piece piece = ends ? text_.AddEnd(id) : text_.Add(id);
  stream_->Add(index_, std::move(piece.text), *std::move(token), now);
  if (ends || piece.stopped) {
    stream_->Finish(index_, text_.Finish().text, FinishReason::kStop);
    return false;
  }
  const auto generated = static_cast<int64_t>(tokens_.size() - request_->prompt.size());
  if (generated < request_->max_tokens) return true;
  TextStream::Piece rest = text_.Finish();
  stream_->Finish(index_, std::move(rest.text), rest.stopped ? FinishReason::kStop : FinishReason::kLength);
  return false;
}

}  // namespace predictd
