#ifndef PREDICTD_SERVER_GENERATION_PRE_TOKENIZER_H_
#define PREDICTD_SERVER_GENERATION_PRE_TOKENIZER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/generation/json_object.h"
#include "server/generation/pattern.h"

namespace predictd {

// Cuts a text into the words that the merges of a BPE model do not cross. Immutable; any thread may call it.
class PreTokenizer {
 public:
  // Whether to go on.
  using OnWord = absl::FunctionRef<bool(absl::string_view word)>;

  // From the `pre_tokenizer` of a tokenizer.json, or null. Knows Split, Digits, ByteLevel and Sequence.
  static absl::StatusOr<PreTokenizer> Parse(const nlohmann::json& json, const std::string& path);

  // Calls `word` for each, in order, none of them empty, as long as it returns true. `text` is UTF-8.
  void Split(absl::string_view text, OnWord word) const;

  // Whether words stand for their bytes, each of which is a character of the vocabulary.
  bool byte_level() const { return byte_level_; }

 private:
  // What becomes of what matches.
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  struct Step {
    // Nothing: does not cut.
    std::optional<Pattern> pattern;
    Behavior behavior = Behavior::kIsolated;
    // What matches is what does not match.
    bool invert = false;
    // Each part that does not begin with a space gets one, and is cut only then.
    bool prefix_space = false;
  };
  struct Part {
    size_t begin;
    size_t end;
    bool matches;
  };

  absl::Status Add(const nlohmann::json& json, const std::string& path);
  absl::Status AddSplit(JsonObject& object, const std::string& path);
  absl::Status AddByteLevel(JsonObject& object);
  bool Run(size_t step, absl::string_view text, OnWord word) const;

  static std::vector<Part> FindParts(const Step& step, absl::string_view text);
  static std::vector<Part> Merge(const std::vector<Part>& parts, Behavior behavior);

  std::vector<Step> steps_;
  bool byte_level_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_PRE_TOKENIZER_H_
