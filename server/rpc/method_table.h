#ifndef PREDICTD_SERVER_RPC_METHOD_TABLE_H_
#define PREDICTD_SERVER_RPC_METHOD_TABLE_H_

#include <string>
#include <utility>

#include "absl/container/node_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/rpc/method.h"

namespace predictd {

// The methods that there are, by the path that a call names ("/package.Service/Method"). Filled before the first call,
// then thread-safe.
class MethodTable {
 public:
  // `unknown` answers what names no method.
  explicit MethodTable(Method unknown) : unknown_(std::move(unknown)) {}

  void Add(Method method) {
    std::string path = absl::StrCat("/", method.service(), "/", method.name());
    methods_.emplace(std::move(path), std::move(method));
  }

  const Method& Find(absl::string_view path) const {
    const auto found = methods_.find(path);
    return found == methods_.end() ? unknown_ : found->second;
  }

 private:
  const Method unknown_;
  absl::node_hash_map<std::string, Method> methods_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_METHOD_TABLE_H_
