#include "server/tokenizer/tokenizer_json.h"

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "server/tokenizer/byte_alphabet.h"

namespace predictd {
namespace {

using nlohmann::json;

// More than any vocabulary has.
constexpr uint32_t kMaxId = 4'000'000;
// Deeper nesting could overflow the stack of the reader.
constexpr int kMaxJsonDepth = 32;

absl::Status Invalid(const std::string& path, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", problem));
}

// Reads one file, from top to bottom.
class Reader {
 public:
  absl::StatusOr<TokenizerJson> Read(const json& file) {
    JsonObject root(file, "");
    if (root.Get<std::string>("version", "1.0") != "1.0") root.Fail(root.Unsupported("version", "\"1.0\""));
    // How texts were cut or padded in training does not matter to a server.
    root.Value("truncation");
    root.Value("padding");
    if (!root.Value("model").is_object()) root.Fail(Invalid("model", "expected an object"));
    // The order matters: some of these need what was read before.
    root.Fail(Keep(TextNormalizer::Parse(root.Value("normalizer"), "normalizer"), result_.normalizer));
    root.Fail(Keep(PreTokenizer::Parse(root.Value("pre_tokenizer"), "pre_tokenizer"), result_.pre_tokenizer));
    root.Fail(Keep(TokenDecoder::Parse(root.Value("decoder"), "decoder"), decoder_));
    root.Fail(ReadVocabulary(root.Value("model")));
    if (!root.Value("added_tokens").is_null()) {
      for (const auto& [item, path] : root.Items("added_tokens")) root.Fail(ReadAddedToken(*item, path));
    }
    root.Fail(ReadModel(root.Value("model")));
    root.Fail(ReadPostProcessor(root.Value("post_processor"), "post_processor"));
    result_.table.leading_spaces = decoder_.leading_spaces();
    if (absl::Status status = root.Finish(); !status.ok()) return status;
    return std::move(result_);
  }

 private:
  template <class T>
  static absl::Status Keep(absl::StatusOr<T> read, T& place) {
    if (!read.ok()) return read.status();
    place = *std::move(read);
    return absl::OkStatus();
  }

  void SetToken(int32_t id, absl::string_view name, bool special) {
    result_.table.At(id) = {decoder_.Bytes(name), special, decoder_.KeepsSpaces(name)};
  }

  // Takes an id for a token.
  absl::Status AddToken(const std::string& path, uint32_t id, absl::string_view name, bool special) {
    if (id > kMaxId) return Invalid(path, absl::StrCat("expected an id up to ", kMaxId));
    if (id >= taken_.size()) taken_.resize(id + 1);
    if (taken_[id]) return Invalid(path, absl::StrCat("the id ", id, " is taken by another token"));
    taken_[id] = true;
    SetToken(static_cast<int32_t>(id), name, special);
    return absl::OkStatus();
  }

  absl::Status ReadVocabulary(const json& model) {
    const auto vocabulary = model.find("vocab");
    if (vocabulary == model.end() || !vocabulary->is_object()) return Invalid("model.vocab", "expected an object");
    vocabulary_.reserve(vocabulary->size());
    for (const auto& [name, id] : vocabulary->items()) {
      const std::string path = absl::StrCat("model.vocab['", name, "']");
      if (!id.is_number_unsigned() || id.get<uint64_t>() > kMaxId) return Invalid(path, "expected an id");
      if (absl::Status status = AddToken(path, id.get<uint32_t>(), name, false); !status.ok()) return status;
      vocabulary_[name] = id.get<int32_t>();
    }
    return absl::OkStatus();
  }

  absl::Status ReadAddedToken(const json& item, const std::string& path) {
    JsonObject object(item, path);
    const auto id = object.Get<uint32_t>("id");
    const auto content = object.Get<std::string>("content");
    const bool normalized = object.Get<bool>("normalized");
    const AddedTokens::Token token = {static_cast<int32_t>(id), object.Get<bool>("special"),
                                      object.Get<bool>("single_word"), object.Get<bool>("lstrip"),
                                      object.Get<bool>("rstrip")};
    if (absl::Status status = object.Finish(); !status.ok()) return status;
    if (content.empty()) return Invalid(path, "content: must not be empty");
    std::string written = content;
    if (normalized) {
      MarkedText text;
      text.Append(content, true);
      written = std::string(result_.normalizer.Normalize(text.view()).view().text());
      if (written.empty()) return Invalid(path, "content: nothing is left of it when it has been normalized");
    }
    if (const auto known = vocabulary_.find(content); known != vocabulary_.end()) {
      if (known->second != token.id) return Invalid(path, absl::StrCat("id: the vocabulary says ", known->second));
      SetToken(token.id, written, token.special);
    } else if (absl::Status status = AddToken(path, id, written, token.special); !status.ok()) {
      return status;
    }
    (normalized ? result_.added_normalized : result_.added).Add(written, token);
    if (token.special) result_.table.special[content] = token.id;
    return absl::OkStatus();
  }

  absl::Status ReadModel(const json& model) {
    JsonObject object(model, "model");
    if (object.Get<std::string>("type", "BPE") != "BPE") return object.Unsupported("type", "\"BPE\"");
    const json& dropout = object.Value("dropout");
    if (!dropout.is_null() && dropout != 0) return object.Unsupported("dropout", "null or 0");
    for (const char* key : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!object.Get<std::string>(key, "").empty()) return object.Unsupported(key, "null or \"\"");
    }
    Bpe::Options options;
    options.byte_level = result_.pre_tokenizer.byte_level();
    options.ignore_merges = object.Get<bool>("ignore_merges", false);
    options.fuse_unknown = object.Get<bool>("fuse_unk", false);
    if (object.Get<bool>("byte_fallback", false)) options.byte_fallback = FindByteTokens();
    if (const auto unknown = object.Get<std::string>("unk_token", ""); !unknown.empty()) {
      const auto found = vocabulary_.find(unknown);
      if (found == vocabulary_.end()) return object.Unsupported("unk_token", "a token of the vocabulary");
      options.unknown = found->second;
    }
    object.Value("vocab");
    const json& merges = object.Value("merges");
    if (absl::Status status = object.Finish(); !status.ok()) return status;
    result_.bpe = Bpe(options);
    AddTokensToBpe();
    return AddMerges(merges);
  }

  std::array<int32_t, 256> FindByteTokens() const {
    std::array<int32_t, 256> tokens{};
    for (size_t byte = 0; byte < tokens.size(); ++byte) {
      const auto found = vocabulary_.find(absl::StrFormat("<0x%02X>", byte));
      tokens[byte] = found == vocabulary_.end() ? Bpe::kNone : found->second;
    }
    return tokens;
  }

  // Special tokens stay out of the BPE model, and so do merges that produce them: text must never turn into one.
  bool IsSpecial(int32_t id) { return result_.table.At(id).special; }

  void AddTokensToBpe() {
    for (const auto& [name, id] : vocabulary_) {
      const std::optional<std::string> text =
          result_.pre_tokenizer.byte_level() ? BytesFromAlphabet(name) : std::optional(name);
      if (text.has_value() && !IsSpecial(id)) result_.bpe.AddToken(*text, id);
    }
  }

  absl::Status AddMerges(const json& merges) {
    if (!merges.is_array()) return Invalid("model.merges", "expected a list");
    for (size_t index = 0; index < merges.size(); ++index) {
      const std::optional<std::pair<std::string, std::string>> pair = ReadPair(merges[index]);
      const auto invalid = [index](absl::string_view problem) {
        return Invalid(absl::StrCat("model.merges[", index, "]"), problem);
      };
      if (!pair.has_value()) return invalid("expected two tokens, as in \"a b\" or [\"a\", \"b\"]");
      std::array<int32_t, 3> ids{};
      const std::array<std::string, 3> names = {pair->first, pair->second, pair->first + pair->second};
      for (size_t part = 0; part < names.size(); ++part) {
        const auto found = vocabulary_.find(names[part]);
        if (found == vocabulary_.end()) return invalid(absl::StrCat("'", names[part], "' is not in the vocabulary"));
        ids[part] = found->second;
      }
      if (!IsSpecial(ids[2])) result_.bpe.AddMerge(ids[0], ids[1], ids[2]);
    }
    return absl::OkStatus();
  }

  static std::optional<std::pair<std::string, std::string>> ReadPair(const json& merge) {
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      return std::pair(merge[0].get<std::string>(), merge[1].get<std::string>());
    }
    if (!merge.is_string()) return std::nullopt;
    const std::vector<std::string> parts = absl::StrSplit(merge.get<std::string>(), ' ');
    if (parts.size() != 2) return std::nullopt;
    return std::pair(parts[0], parts[1]);
  }

  // A post-processor can change a single text only by adding tokens around it.
  absl::Status ReadPostProcessor(const json& processor, const std::string& path) {
    if (processor.is_null()) return absl::OkStatus();
    JsonObject object(processor, path);
    const auto type = object.Get<std::string>("type");
    if (type == "Sequence") {
      for (const auto& [item, item_path] : object.Items("processors")) {
        if (absl::Status status = ReadPostProcessor(*item, item_path); !status.ok()) return status;
      }
    } else if (type == "ByteLevel") {
      // It only changes offsets.
      object.Get<bool>("add_prefix_space", true);
      object.Get<bool>("trim_offsets", true);
      object.Get<bool>("use_regex", true);
    } else if (type == "TemplateProcessing") {
      // A generator never gets two texts.
      object.Value("pair");
      const json& tokens = object.Value("special_tokens");
      bool text_seen = false;
      for (const auto& [item, item_path] : object.Items("single")) {
        if (absl::Status status = ReadTemplateItem(*item, item_path, tokens, text_seen); !status.ok()) return status;
      }
    } else {
      return object.Unsupported("type", "TemplateProcessing, ByteLevel or Sequence");
    }
    return object.Finish();
  }

  // `tokens` says which ids a token of the template has.
  absl::Status ReadTemplateItem(const json& item, const std::string& path, const json& tokens, bool& text_seen) {
    JsonObject object(item, path);
    if (!object.Value("Sequence").is_null()) {
      text_seen = true;
      return object.Finish();
    }
    JsonObject special(object.Value("SpecialToken"), object.Path("SpecialToken"));
    const auto name = special.Get<std::string>("id");
    special.Value("type_id");
    object.Fail(special.Finish());
    if (absl::Status status = object.Finish(); !status.ok()) return status;
    if (text_seen) return Invalid(path, "tokens behind the text are not supported");
    const json& ids = JsonObject(tokens, "special_tokens").Value(name);
    const json& list = ids.is_object() ? JsonObject(ids, name).Value("ids") : ids;
    if (!list.is_array()) return Invalid(path, absl::StrCat("'", name, "' is not among the special_tokens"));
    for (const json& id : list) {
      const bool known = id.is_number_unsigned() && id.get<uint64_t>() < taken_.size() && taken_[id.get<size_t>()];
      if (!known) return Invalid(path, absl::StrCat("'", name, "' has an id that no token has"));
      result_.table.prefix.push_back(id.get<int32_t>());
    }
    return absl::OkStatus();
  }

  TokenizerJson result_;
  TokenDecoder decoder_;
  absl::flat_hash_map<std::string, int32_t> vocabulary_;
  std::vector<bool> taken_;
};

}  // namespace

absl::StatusOr<TokenizerJson> TokenizerJson::Parse(absl::string_view text) {
  bool too_deep = false;
  const auto check_depth = [&too_deep](int depth, json::parse_event_t /*event*/, json& /*parsed*/) {
    too_deep = too_deep || depth > kMaxJsonDepth;
    return !too_deep;
  };
  const json file = json::parse(text.begin(), text.end(), check_depth, /*allow_exceptions=*/false);
  if (too_deep) return absl::InvalidArgumentError("nested too deeply");
  if (file.is_discarded()) return absl::InvalidArgumentError("not JSON");
  return Reader().Read(file);
}

}  // namespace predictd
