#ifndef PREDICTD_SERVER_TEMPLATE_RUN_H_
#define PREDICTD_SERVER_TEMPLATE_RUN_H_

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "server/async/stop.h"
#include "server/template/value.h"

namespace predictd {

// The most resources that one rendering may take.
struct TemplateLimits {
  // A step is a node that is evaluated, an item of a container that is looked at, or kBytesPerStep bytes of a string
  // that are read or copied. Creating values takes more steps, so that the steps bound the memory, too.
  int64_t max_steps = 20'000'000;
  size_t max_output_bytes = size_t{64} << 20;
  // How deeply statements, expressions and macro calls may be nested.
  int max_depth = 256;
};

// Variables, which are looked up from the innermost scope outwards. Names are compared by address, because within one
// template they are unique.
struct TemplateScope {
  const TemplateScope* parent = nullptr;
  std::vector<std::pair<const std::string*, TemplateValue>> variables;

  // nullptr if there is no such variable.
  const TemplateValue* Find(const std::string* name) const;
  // Sets a variable in this scope.
  void Set(const std::string* name, TemplateValue value);
};

// One rendering: it owns what the template creates while it runs, and counts its steps. Used by one thread.
class TemplateRun {
 public:
  static constexpr size_t kBytesPerStep = 16;
  // The steps for a new item of a container, and for one that is itself a new string or container.
  static constexpr size_t kStepsPerItem = 4;
  static constexpr size_t kStepsPerText = 8;

  // `now` is what the template uses as the current time. `limits` and `stop`, which may be null, must outlive it.
  TemplateRun(const TemplateLimits& limits, std::chrono::system_clock::time_point now, const StopSource* stop)
      : limits_(limits), now_(now), stop_(stop) {}
  TemplateRun(const TemplateRun&) = delete;
  TemplateRun& operator=(const TemplateRun&) = delete;

  const TemplateLimits& limits() const { return limits_; }
  std::chrono::system_clock::time_point now() const { return now_; }

  // INTERNAL once there have been too many steps, CANCELLED soon after `stop` has stopped.
  absl::Status Charge(size_t steps);
  absl::Status ChargeBytes(size_t bytes) { return Charge(bytes / kBytesPerStep + 1); }
  // Charges for a search through the names of this many entries.
  absl::Status ChargeLookup(size_t entries) { return Charge(entries / 8 + 1); }
  // Charges for `bytes` bytes that will be appended to `text`. INTERNAL also if the text would exceed what a template
  // may write.
  absl::Status ChargeText(const TemplateString& text, size_t bytes);
  // How many new strings the remaining steps allow.
  size_t texts_left() const {
    return static_cast<size_t>(std::max<int64_t>(limits_.max_steps - steps_, 0)) / kStepsPerText;
  }

  // The results live as long as the run.
  TemplateList* NewList(std::vector<TemplateValue> items, bool is_tuple = false);
  TemplateDict* NewDict() { return &dicts_.emplace_back(); }
  TemplateNamespace* NewNamespace() { return &namespaces_.emplace_back(); }
  TemplateLoop* NewLoop(const std::vector<TemplateValue>& items) {
    return &loops_.emplace_back(TemplateLoop{&items, 0});
  }
  TemplateMethod* NewMethod(TemplateMethod method) { return &methods_.emplace_back(std::move(method)); }
  TemplateScope* NewScope(const TemplateScope* parent) { return &scopes_.emplace_back(TemplateScope{parent, {}}); }

  // The items that a loop over the value visits: those of a list, the keys of a dict, the characters of a string, or
  // none if the value is undefined. INTERNAL for other values.
  absl::StatusOr<TemplateList*> Iterate(const TemplateValue& value);

 private:
  const TemplateLimits& limits_;
  const std::chrono::system_clock::time_point now_;
  const StopSource* const stop_;
  int64_t steps_ = 0;
  // The number of steps at which to check `stop_` again.
  int64_t next_look_ = 0;
  // Deques, because their elements do not move when they grow.
  std::deque<TemplateList> lists_;
  std::deque<TemplateDict> dicts_;
  std::deque<TemplateNamespace> namespaces_;
  std::deque<TemplateLoop> loops_;
  std::deque<TemplateMethod> methods_;
  std::deque<TemplateScope> scopes_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_RUN_H_
