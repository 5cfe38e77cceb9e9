#ifndef PREDICTD_SERVER_FILES_TABLE_READER_H_
#define PREDICTD_SERVER_FILES_TABLE_READER_H_

// Parses tables of TOML files. This is only for the sources of the targets that read them, because it shows the TOML
// library.

#include <toml++/toml.h>

#include <functional>
#include <optional>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace predictd {

// The error "key: expected ...".
absl::Status BadKey(absl::string_view key, absl::string_view expected);

// Reads the keys of one table and then reports those that nobody asked for. The first error is kept.
class TableReader {
 public:
  // Messages name keys with the prefix, as in "inputs[0].shape". The table outlives the reader.
  TableReader(const toml::table& table, std::string prefix) : table_(table), prefix_(std::move(prefix)) {}

  // Leaves `value` alone if the key is missing.
  template <class T>
  void Read(absl::string_view key, absl::string_view expected, T& value,
            const std::function<bool(const T&)>& valid = {}) {
    const toml::node* node = Find(key);
    if (node == nullptr) return;
    const std::optional<T> read = node->value_exact<T>();
    if (!read.has_value() || (valid && !valid(*read))) return Fail(key, expected);
    value = *read;
  }

  // Returns nullptr if the key is missing.
  const toml::node* Find(absl::string_view key);

  void Fail(absl::string_view key, absl::string_view expected);
  void Fail(absl::Status status);

  // Returns the first error, or else one that names an unknown key.
  absl::Status Finish() const;

 private:
  const toml::table& table_;
  const std::string prefix_;
  std::set<std::string> known_;
  absl::Status status_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_FILES_TABLE_READER_H_
