#ifndef PREDICTD_SERVER_SERVING_READY_CONDITION_H_
#define PREDICTD_SERVER_SERVING_READY_CONDITION_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/serving/catalog.h"

namespace predictd {

// Decides which models must be ready for the server as a whole to count as healthy. Immutable, thread-safe.
class ReadyCondition {
 public:
  // "any": every model has been loaded or has failed, and at least one is ready, or none is to serve. "all": every
  // model that is to serve is ready. Otherwise `text` is a list of names separated by commas: these models are ready,
  // whatever becomes of the others; INVALID_ARGUMENT names one that the catalog does not have.
  static absl::StatusOr<ReadyCondition> Create(absl::string_view text, const CatalogSnapshot& catalog);

  // Whether the condition is met now. Once it was met, models that come later, or that change, do not count for "any"
  // and "all": a new model that cannot be loaded is no reason to take the server out of service.
  bool Met(const CatalogSnapshot& catalog, bool was_met = false) const;

 private:
  enum class Kind { kAny, kAll, kNamed };
  ReadyCondition(Kind kind, std::vector<std::string> names) : kind_(kind), names_(std::move(names)) {}

  Kind kind_;
  std::vector<std::string> names_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_READY_CONDITION_H_
