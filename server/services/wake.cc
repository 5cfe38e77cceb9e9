#include "server/services/wake.h"

#include <memory>
#include <utility>

#include "server/services/control_handler.h"

namespace predictd {

Task<absl::Status> WakeModel(ServedRequest& served, const Catalog& catalog, std::string model) {
  Task<absl::StatusOr<std::shared_ptr<PendingCommand>>> carry_out =
      CarryOut(served, {.kind = ModelCommand::Kind::kWake, .model = std::move(model)}, catalog.commands());
  const absl::StatusOr<std::shared_ptr<PendingCommand>> woken = co_await carry_out;
  const bool refused = absl::IsResourceExhausted(woken.status());
  co_return served.stop().stopped() || refused ? woken.status() : absl::OkStatus();
}

}  // namespace predictd
