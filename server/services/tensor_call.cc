#include "server/services/tensor_call.h"

#include <string_view>

#include "absl/strings/str_cat.h"

namespace predictd {

using std::chrono::steady_clock;

void ReportTarget(ServedRequest& served, TimePoint started, RequestSubject subject, const TargetVersion& target) {
  if (subject.model != nullptr) served.report().SetModel(subject.model->subject(), subject.version);
  served.report().SetRequestId(std::move(subject.request_id));
  if (!target.ok()) ReportDecoding(served.report(), started, steady_clock::now());
}

std::optional<CachedResponse> FindCached(ServedRequest& served, const DecodedPredict& request,
                                         std::optional<RequestKey>& key) {
  const TimePoint started = steady_clock::now();
  key = MakeRequestKey(request.version->number(), request.inference.inputs);
  std::optional<CachedResponse> found;
  if (key.has_value()) found = request.cache->Lookup(*key);
  if (found.has_value()) {
    served.AddTrailer("age", absl::StrCat(std::chrono::floor<std::chrono::seconds>(found->age).count()));
  }
  const std::string_view outcome = found.has_value() ? "hit" : key.has_value() ? "miss" : "bypass";
  ReportCacheLookup(served.report(), outcome, started, steady_clock::now());
  return found;
}

}  // namespace predictd
