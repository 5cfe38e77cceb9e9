#include "server/tokenizer/json_object.h"

namespace predictd {
namespace {

// How many bytes of a value messages show.
constexpr size_t kShown = 60;

absl::Status Bad(absl::string_view path, absl::string_view expected, const nlohmann::json& got) {
  std::string value = got.dump(-1, ' ', true);
  if (value.size() > kShown) value = absl::StrCat(value.substr(0, kShown), "...");
  return absl::InvalidArgumentError(absl::StrCat(path, ": expected ", expected, ", got ", value));
}

}  // namespace

JsonObject::JsonObject(const nlohmann::json& json, std::string path) : json_(json), path_(std::move(path)) {
  if (!json.is_object()) Fail(Bad(path_, "an object", json));
}

const nlohmann::json& JsonObject::Value(absl::string_view key) {
  static const nlohmann::json null;
  const nlohmann::json* json = Find(key, false);
  return json == nullptr ? null : *json;
}

std::vector<std::pair<const nlohmann::json*, std::string>> JsonObject::Items(absl::string_view key) {
  std::vector<std::pair<const nlohmann::json*, std::string>> items;
  const nlohmann::json* json = Find(key, true);
  if (json == nullptr) return items;
  if (!json->is_array()) {
    Fail(Bad(Path(key), "a list", *json));
    return items;
  }
  for (const nlohmann::json& item : *json) items.emplace_back(&item, absl::StrCat(Path(key), "[", items.size(), "]"));
  return items;
}

absl::Status JsonObject::Unsupported(absl::string_view key, absl::string_view expected) const {
  if (!error_.ok()) return error_;
  return Bad(Path(key), expected, json_.at(std::string(key)));
}

void JsonObject::Fail(const absl::Status& status) {
  error_.Update(status);
}

std::string JsonObject::Path(absl::string_view key) const {
  return path_.empty() ? std::string(key) : absl::StrCat(path_, ".", key);
}

absl::Status JsonObject::Finish() const {
  if (!error_.ok()) return error_;
  for (const auto& [key, value] : json_.items()) {
    if (known_.find(key) == known_.end()) return absl::InvalidArgumentError(absl::StrCat(Path(key), ": unknown key"));
  }
  return absl::OkStatus();
}

const nlohmann::json* JsonObject::Find(absl::string_view key, bool required) {
  known_.emplace(key);
  if (!error_.ok()) return nullptr;
  const auto found = json_.find(std::string(key));
  if (found != json_.end()) return &*found;
  if (required) Fail(absl::InvalidArgumentError(absl::StrCat(Path(key), ": missing")));
  return nullptr;
}

void JsonObject::Read(const nlohmann::json* json, const std::string& path, std::string& value) {
  if (json == nullptr) return;
  if (!json->is_string()) return Fail(Bad(path, "a string", *json));
  value = json->get_ref<const std::string&>();
}

void JsonObject::Read(const nlohmann::json* json, const std::string& path, bool& value) {
  if (json == nullptr) return;
  if (!json->is_boolean()) return Fail(Bad(path, "true or false", *json));
  value = json->get<bool>();
}

void JsonObject::Read(const nlohmann::json* json, const std::string& path, uint32_t& value) {
  if (json == nullptr) return;
  if (!json->is_number_unsigned() || json->get<uint64_t>() > UINT32_MAX) {
    return Fail(Bad(path, "a number that is not negative", *json));
  }
  value = json->get<uint32_t>();
}

absl::StatusOr<Pattern> ParsePatternObject(JsonObject& object, absl::string_view key) {
  const std::string path = object.Path(key);
  JsonObject pattern(object.Value(key), path);
  const std::string regex = pattern.Get<std::string>("Regex", "");
  const std::string literal = pattern.Get<std::string>("String", "");
  if (absl::Status status = pattern.Finish(); !status.ok()) return status;
  if (regex.empty() == literal.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": expected either a Regex or a String that is not empty"));
  }
  absl::StatusOr<Pattern> parsed = regex.empty() ? Pattern::Literal(literal) : Pattern::Parse(regex);
  if (parsed.ok()) return parsed;
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", parsed.status().message()));
}

}  // namespace predictd
