#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_RUN_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_RUN_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/async/stop.h"
#include "server/generation/template_value.h"

namespace predictd {

// What one rendering may take at most.
struct TemplateLimits {
  // A step is a node that is evaluated, an item of a container that is copied, or kBytesPerStep bytes of a string that
  // are read or copied.
  int64_t max_steps = 20'000'000;
  size_t max_output_bytes = size_t{64} << 20;
  // Statements, expressions and calls of macros within each other.
  int max_depth = 256;
};

// Variables, looked up from the innermost scope outwards. Names are compared by address: those of one template are
// unique.
struct TemplateScope {
  const TemplateScope* parent = nullptr;
  std::vector<std::pair<const std::string*, TemplateValue>> variables;

  // nullptr if there is no such variable.
  const TemplateValue* Find(const std::string* name) const;
  // In this scope.
  void Set(const std::string* name, TemplateValue value);
};

// One rendering: it owns what the template makes while it runs, and counts its steps. Used by one thread.
class TemplateRun {
 public:
  static constexpr size_t kBytesPerStep = 16;

  // `limits` and `stop`, which may be null, outlive it.
  explicit TemplateRun(const TemplateLimits& limits, const StopSource* stop = nullptr) : limits_(limits), stop_(stop) {}
  TemplateRun(const TemplateRun&) = delete;
  TemplateRun& operator=(const TemplateRun&) = delete;

  const TemplateLimits& limits() const { return limits_; }

  // INTERNAL once there have been too many, CANCELLED soon after `stop` has stopped.
  absl::Status Charge(size_t steps);
  absl::Status ChargeBytes(size_t bytes) { return Charge(bytes / kBytesPerStep + 1); }

  // Live as long as the run.
  TemplateList* NewList(std::vector<TemplateValue> items, bool is_tuple = false);
  TemplateDict* NewDict() { return &dicts_.emplace_back(); }
  TemplateNamespace* NewNamespace() { return &namespaces_.emplace_back(); }
  TemplateLoop* NewLoop(const std::vector<TemplateValue>& items) {
    return &loops_.emplace_back(TemplateLoop{&items, 0});
  }
  TemplateMethod* NewMethod(TemplateMethod method) { return &methods_.emplace_back(std::move(method)); }
  TemplateScope* NewScope(const TemplateScope* parent) { return &scopes_.emplace_back(TemplateScope{parent, {}}); }

  // The items that a loop over the value visits: of a list, the keys of a dict, the characters of a string, none of
  // something undefined. INTERNAL for others.
  absl::StatusOr<TemplateList*> Iterate(const TemplateValue& value);

 private:
  const TemplateLimits& limits_;
  const StopSource* const stop_;
  int64_t steps_ = 0;
  // When to look whether it has stopped.
  int64_t next_look_ = 0;
  // Nothing moves when they grow.
  std::deque<TemplateList> lists_;
  std::deque<TemplateDict> dicts_;
  std::deque<TemplateNamespace> namespaces_;
  std::deque<TemplateLoop> loops_;
  std::deque<TemplateMethod> methods_;
  std::deque<TemplateScope> scopes_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_RUN_H_
