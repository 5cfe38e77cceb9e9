#include "server/rpc/method_table.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/task.h"
#include "server/rpc/call.h"
#include "server/rpc/stream_writer.h"

namespace predictd {
namespace {

Task<absl::Status> RefuseUnknown(Call& call, StreamWriter& /*writer*/) {
  co_return absl::UnimplementedError(absl::StrCat("there is no method ", call.context().method()));
}

}  // namespace

MethodTable::MethodTable(RpcMetrics& metrics)
    : metrics_(metrics), unknown_({.service = "", .name = "unknown"}, BidiHandler(RefuseUnknown), metrics) {}

void MethodTable::Add(const Method::Options& options, Method::Handler handler) {
  methods_[absl::StrCat("/", options.service, "/", options.name)] =
      std::make_unique<const Method>(options, std::move(handler), metrics_);
}

const Method& MethodTable::Find(absl::string_view path) const {
  const auto found = methods_.find(path);
  return found == methods_.end() ? unknown_ : *found->second;
}

std::vector<std::string> MethodTable::Services() const {
  std::set<std::string> names;
  for (const auto& [path, method] : methods_) names.insert(method->service());
  return {names.begin(), names.end()};
}

}  // namespace predictd
