#ifndef PREDICTD_SERVER_TOKENIZER_JSON_OBJECT_H_
#define PREDICTD_SERVER_TOKENIZER_JSON_OBJECT_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/tokenizer/pattern.h"

namespace predictd {

// Reads the keys of one JSON object, and in the end reports the keys that nobody asked for. The first error is kept,
// and names the key by its path, such as "model.merges[3]".
class JsonObject {
 public:
  // `json` must outlive the reader.
  JsonObject(const nlohmann::json& json, std::string path);

  // A required string, bool or uint32_t. After an error the returned value does not matter.
  template <class T>
  T Get(absl::string_view key) {
    T value{};
    Read(Find(key, true), Path(key), value);
    return value;
  }
  // An optional value, which may be missing or null; then `value` is returned.
  template <class T>
  T Get(absl::string_view key, T value) {
    const nlohmann::json* json = Find(key, false);
    if (json != nullptr && !json->is_null()) Read(json, Path(key), value);
    return value;
  }

  // The value of a key, or null if it is missing.
  const nlohmann::json& Value(absl::string_view key);
  // The elements of a list, and their paths.
  std::vector<std::pair<const nlohmann::json*, std::string>> Items(absl::string_view key);

  // An error about a value.
  absl::Status Unsupported(absl::string_view key, absl::string_view expected) const;
  void Fail(const absl::Status& status);

  std::string Path(absl::string_view key) const;
  // The first error; if there is none, an error about an unknown key, if there is one.
  absl::Status Finish() const;

 private:
  const nlohmann::json* Find(absl::string_view key, bool required);
  void Read(const nlohmann::json* json, const std::string& path, std::string& value);
  void Read(const nlohmann::json* json, const std::string& path, bool& value);
  void Read(const nlohmann::json* json, const std::string& path, uint32_t& value);

  const nlohmann::json& json_;
  const std::string path_;
  std::set<std::string, std::less<>> known_;
  absl::Status error_;
};

// Reads {"Regex": "\\s+"} or {"String": " "}.
absl::StatusOr<Pattern> ParsePatternObject(JsonObject& object, absl::string_view key);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TOKENIZER_JSON_OBJECT_H_
