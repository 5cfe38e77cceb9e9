#ifndef PREDICTD_SERVER_RPC_METHOD_TABLE_H_
#define PREDICTD_SERVER_RPC_METHOD_TABLE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "server/rpc/method.h"
#include "server/rpc/rpc_metrics.h"

namespace predictd {

// All methods, by the path that a call names ("/package.Service/Method"). The table is filled before the first call,
// and then immutable and thread-safe. The metrics outlive it.
class MethodTable {
 public:
  explicit MethodTable(RpcMetrics& metrics);

  void Add(const Method::Options& options, Method::Handler handler);

  // If the path names no method, the returned method answers UNIMPLEMENTED.
  const Method& Find(absl::string_view path) const;

  // The names of all services, sorted.
  std::vector<std::string> Services() const;

 private:
  RpcMetrics& metrics_;
  const Method unknown_;
  absl::flat_hash_map<std::string, std::unique_ptr<const Method>> methods_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_RPC_METHOD_TABLE_H_
