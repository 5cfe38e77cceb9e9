#include "server/files/table_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace predictd {

absl::Status BadKey(absl::string_view key, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat(key, ": expected ", expected));
}

const toml::node* TableReader::Find(absl::string_view key) {
  known_.insert(std::string(key));
  return table_.get(std::string_view(key.data(), key.size()));
}

void TableReader::Fail(absl::string_view key, absl::string_view expected) {
  Fail(BadKey(absl::StrCat(prefix_, key), expected));
}

void TableReader::Fail(absl::Status status) {
  if (status_.ok()) status_ = std::move(status);
}

absl::Status TableReader::Finish() const {
  if (!status_.ok()) return status_;
  for (const auto& [key, node] : table_) {
    if (!known_.contains(std::string(key.str()))) {
      return absl::InvalidArgumentError(
          absl::StrCat(prefix_, std::string(key.str()), ": unknown key; known are ", absl::StrJoin(known_, ", ")));
    }
  }
  return absl::OkStatus();
}

}  // namespace predictd
