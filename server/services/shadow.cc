#include "server/services/shadow.h"

#include <chrono>
#include <exception>
#include <utility>

#include "server/async/task.h"
#include "server/engine/model_runner.h"

namespace predictd {
namespace {

// Copies that have waited for so long say nothing about the version any more.
constexpr std::chrono::seconds kLongest(5);

Task<> Run(DecodedPredict copy, std::unique_ptr<CopyPlace> /*place*/) {
  try {
    copy.inference.priority = 0;
    copy.inference.deadline = std::chrono::steady_clock::now() + kLongest;
    // Nobody stops a copy.
    StopSource stop;
    ModelRunner::Inference inference = copy.version->runner()->Infer(std::move(copy.inference), stop);
    static_cast<void>(co_await inference);
  } catch (const std::exception&) {
    // There was no memory for the copy, which nobody misses.
  }
}

}  // namespace

void RunCopy(absl::StatusOr<DecodedPredict> copy, std::unique_ptr<CopyPlace> place) {
  if (copy.ok()) Detach(Run(*std::move(copy), std::move(place)));
}

}  // namespace predictd
