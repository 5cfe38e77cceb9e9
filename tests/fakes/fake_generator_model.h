#ifndef PREDICTD_TESTS_FAKES_FAKE_GENERATOR_MODEL_H_
#define PREDICTD_TESTS_FAKES_FAKE_GENERATOR_MODEL_H_

#include <algorithm>
#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "server/model/generator_model.h"

namespace predictd {

// A generator whose next token is a hash of all tokens before it, as it finds them in its cache: anything computed in
// the wrong slot or at the wrong position, or copied wrongly, changes the answer. Its cache forgets nothing by itself,
// so leftovers of other sequences are detected, too. The test owns `Record` and lets it outlive the model.
class FakeGeneratorModel final : public GeneratorModel {
 public:
  struct Step {
    int64_t rows = 0;
    int64_t tokens = 0;
    int64_t first_slot = 0;
  };
  struct Record {
    std::vector<Step> steps;
    int64_t copied_tokens = 0;
    // The first slot and the number of slots of each release.
    std::vector<std::pair<int64_t, int64_t>> released;
    // Called in each Forward and Prefill, which return its error.
    std::function<absl::Status(const Step&)> before = [](const Step&) { return absl::OkStatus(); };
    // Called with the slots in each CopySlot, which returns its error after copying half of the positions.
    std::function<absl::Status(int64_t from, int64_t to)> copying = [](int64_t, int64_t) { return absl::OkStatus(); };
    // Changes the logits of a row; gets the row's tokens.
    std::function<void(const std::vector<int32_t>&, absl::Span<float>)> change;
  };

  FakeGeneratorModel(int64_t vocabulary, int64_t slots, int64_t max_length, Record& record)
      : vocabulary_(vocabulary),
        cache_(static_cast<size_t>(slots), std::vector<int32_t>(static_cast<size_t>(max_length), -1)),
        record_(record) {}

  // The token that follows these.
  static int32_t NextToken(absl::Span<const int32_t> tokens, int64_t vocabulary) {
    uint64_t hash = 1469598103934665603U;
    for (int32_t token : tokens) hash = (hash ^ static_cast<uint64_t>(token + 1)) * 1099511628211U;
    return static_cast<int32_t>((hash >> 20) % static_cast<uint64_t>(vocabulary));
  }

  absl::StatusOr<Logits> Forward(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                                 int64_t first_slot) override {
    const auto rows = static_cast<int64_t>(positions.size());
    const int64_t width = static_cast<int64_t>(tokens.size()) / rows;
    const Step step = {rows, width, first_slot};
    record_.steps.push_back(step);
    if (absl::Status status = record_.before(step); !status.ok()) return status;
    const auto logits = std::make_shared<std::vector<float>>(static_cast<size_t>(rows * vocabulary_), 0.0F);
    for (int64_t row = 0; row < rows; ++row) {
      std::vector<int32_t>& slot = cache_.at(static_cast<size_t>(first_slot + row));
      const int64_t end = positions[row] + width;
      if (end > static_cast<int64_t>(slot.size())) return absl::InternalError("beyond the cache");
      std::copy_n(tokens.begin() + row * width, width, slot.begin() + positions[row]);
      const std::vector<int32_t> seen(slot.begin(), slot.begin() + end);
      const absl::Span<float> scores(logits->data() + row * vocabulary_, static_cast<size_t>(vocabulary_));
      scores[NextToken(seen, vocabulary_)] = 10;
      if (record_.change) record_.change(seen, scores);
    }
    return Logits{.owner = logits, .data = logits->data(), .vocabulary = vocabulary_};
  }

  absl::Status Prefill(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                       int64_t first_slot) override {
    return Forward(tokens, positions, first_slot).status();
  }

  absl::Status CopySlot(int64_t from, int64_t to, int64_t begin, int64_t end) override {
    if (from == to) return absl::InternalError("onto itself");
    absl::Status status = record_.copying(from, to);
    if (!status.ok()) end = begin + (end - begin) / 2;
    const std::vector<int32_t>& source = cache_.at(static_cast<size_t>(from));
    std::copy(source.begin() + begin, source.begin() + end, cache_.at(static_cast<size_t>(to)).begin() + begin);
    record_.copied_tokens += end - begin;
    return status;
  }

  // Erases the slots' contents, as the interface allows.
  void ReleaseSlots(int64_t first, int64_t count) override {
    record_.released.emplace_back(first, count);
    for (int64_t slot = first; slot < first + count; ++slot) {
      std::fill(cache_.at(static_cast<size_t>(slot)).begin(), cache_.at(static_cast<size_t>(slot)).end(), -1);
    }
  }

 private:
  const int64_t vocabulary_;
  // The tokens in place of the keys and values that a real cache would hold.
  std::vector<std::vector<int32_t>> cache_;
  Record& record_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_FAKE_GENERATOR_MODEL_H_
