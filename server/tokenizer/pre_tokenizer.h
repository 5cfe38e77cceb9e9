#ifndef PREDICTD_SERVER_TOKENIZER_PRE_TOKENIZER_H_
#define PREDICTD_SERVER_TOKENIZER_PRE_TOKENIZER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/json_object.h"
#include "server/tokenizer/pattern.h"

namespace predictd {

// Cuts a text into the words that the merges of a BPE model do not cross. Immutable; any thread may call it.
class PreTokenizer {
 public:
  // Returns whether to continue.
  using OnWord = absl::FunctionRef<bool(absl::string_view word)>;

  // From the `pre_tokenizer` of a tokenizer.json, or null. Knows Split, Digits, Punctuation, WhitespaceSplit,
  // CharDelimiterSplit, Metaspace, ByteLevel and Sequence.
  static absl::StatusOr<PreTokenizer> Parse(const nlohmann::json& json, const std::string& path);

  // Calls `word` for each word, in order, as long as it returns true. No word is empty. `text` must be UTF-8. `begins`
  // says whether a whole text begins with it.
  void Split(absl::string_view text, bool begins, OnWord word) const;

  // Whether words stand for their bytes, each of which is a character of the vocabulary.
  bool byte_level() const { return byte_level_; }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  // What happens to the parts that match.
  enum class Behavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };
  // Which parts get a space in front, if they do not begin with one.
  enum class SpaceBefore { kNone, kFirst, kAll };
  // Changes a part, and then cuts it.
  struct Step {
    // Without a pattern the step does not cut.
    std::optional<Pattern> pattern;
    Behavior behavior = Behavior::kIsolated;
    // Swaps what matches and what does not.
    bool invert = false;
    SpaceBefore space_before = SpaceBefore::kNone;
    // What spaces are written as.
    std::string space = " ";
  };
  struct Part {
    size_t begin;
    size_t end;
    bool matches;
  };

  absl::Status Add(const nlohmann::json& json, const std::string& path);
  absl::Status AddSplit(JsonObject& object);
  absl::Status AddByteLevel(JsonObject& object);
  absl::Status AddMetaspace(JsonObject& object);
  absl::Status AddPunctuation(JsonObject& object);
  absl::Status AddDelimiter(JsonObject& object);
  // Cuts by this step and the following ones.
  bool Run(size_t step, absl::string_view text, bool begins, OnWord word) const;
  bool Cut(size_t step, absl::string_view text, bool begins, OnWord word) const;

  static absl::StatusOr<Behavior> ParseBehavior(const JsonObject& object, const std::string& name);
  static std::vector<Part> FindParts(const Step& step, absl::string_view text);
  static std::vector<Part> Merge(const std::vector<Part>& parts, Behavior behavior);

  std::vector<Step> steps_;
  bool byte_level_ = false;
  // The first step after ByteLevel: from there on, steps see ByteLevel's characters instead of the text.
  size_t first_in_alphabet_ = kNone;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_PRE_TOKENIZER_H_
