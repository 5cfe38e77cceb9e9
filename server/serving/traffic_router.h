#ifndef PREDICTD_SERVER_SERVING_TRAFFIC_ROUTER_H_
#define PREDICTD_SERVER_SERVING_TRAFFIC_ROUTER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "server/model/traffic_split.h"

namespace predictd {

// Hands the requests of a model out by its split. Thread-safe and without locks.
class TrafficRouter {
 public:
  // The split is valid. `configured` says whether it is that of model.toml.
  TrafficRouter(TrafficSplit split, bool configured) : split_(std::move(split)), configured_(configured) {}

  const TrafficSplit& split() const { return split_; }
  bool configured() const { return configured_; }

  // Returns the index of the share that gets a request. A key leads to the same one on every server and after every
  // start, and leaves it only for another one that has grown in relation to it, or as long as it is not ready; without
  // a key (""), each share gets its part of any row of requests. Those for which `ready` is false get none. nullopt if
  // none is ready.
  std::optional<size_t> Choose(absl::string_view key, absl::FunctionRef<bool(size_t)> ready) const;

  // Whether the next request is to be copied to the shadow.
  bool CopyNext() const;

  // Copies that run at once are few, and so are the bytes of their inputs: what they take from others is bounded.
  // Returns false, and counts nothing, if there are as many already; otherwise EndCopy follows.
  bool BeginCopy(int64_t bytes) const;
  void EndCopy(int64_t bytes) const;

 private:
  std::optional<size_t> Next(absl::FunctionRef<bool(size_t)> ready) const;
  std::optional<size_t> ByKey(absl::string_view key, absl::FunctionRef<bool(size_t)> ready) const;

  const TrafficSplit split_;
  const bool configured_;
  mutable std::atomic<uint64_t> requests_{0};
  mutable std::atomic<uint64_t> copied_{0};
  mutable std::atomic<int64_t> running_copies_{0};
  mutable std::atomic<int64_t> running_bytes_{0};
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_SERVING_TRAFFIC_ROUTER_H_
