#ifndef PREDICTD_SERVER_TEMPLATE_VALUE_H_
#define PREDICTD_SERVER_TEMPLATE_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/template/string.h"

namespace predictd {

class TemplateArguments;
class TemplateRun;
class TemplateValue;
struct TemplateDict;
struct TemplateList;
struct TemplateLoop;
struct TemplateMacro;
struct TemplateMethod;
struct TemplateNamespace;

// A filter, test, function or method. It gets the value to which it is applied (undefined for a function) and its
// arguments. Errors are INTERNAL, except those that the template raises itself, which are INVALID_ARGUMENT.
using TemplateOperation = absl::StatusOr<TemplateValue> (*)(TemplateRun& run, const TemplateValue& self,
                                                            const TemplateArguments& arguments);

// The value of a name or attribute that does not exist.
struct TemplateUndefined {
  // For messages. May be null; otherwise it must outlive the value.
  const std::string* name = nullptr;
};
struct TemplateNone {};

template <class T, class Variant>
inline constexpr bool kIsOneOf = false;
template <class T, class... Types>
inline constexpr bool kIsOneOf<T, std::variant<Types...>> = (std::is_same_v<T, Types> || ...);

// A value of a chat template, with the types and the behaviour that it has in Python. Containers belong to the
// TemplateRun and are shared by reference; the value must not outlive the run.
class TemplateValue {
 public:
  using Variant = std::variant<TemplateUndefined, TemplateNone, bool, int64_t, double,
                               std::shared_ptr<const TemplateString>, TemplateList*, TemplateDict*, TemplateNamespace*,
                               const TemplateLoop*, const TemplateMacro*, const TemplateMethod*, TemplateOperation>;

  TemplateValue() = default;
  // Takes exactly one of the types of Variant: nothing is converted.
  template <class T>
    requires kIsOneOf<T, Variant>
  TemplateValue(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  TemplateValue(TemplateString text)                    // NOLINT(google-explicit-constructor)
      : value_(std::make_shared<const TemplateString>(std::move(text))) {}

  template <class T>
  bool Is() const {
    return std::holds_alternative<T>(value_);
  }
  // nullptr if the value has another type.
  const TemplateString* AsText() const { return Get<std::shared_ptr<const TemplateString>>(); }
  TemplateList* AsList() const { return Get<TemplateList*>(); }
  TemplateDict* AsDict() const { return Get<TemplateDict*>(); }
  TemplateNamespace* AsNamespace() const { return Get<TemplateNamespace*>(); }
  const TemplateLoop* AsLoop() const { return Get<const TemplateLoop*>(); }
  const TemplateMacro* AsMacro() const { return Get<const TemplateMacro*>(); }
  const TemplateMethod* AsMethod() const { return Get<const TemplateMethod*>(); }
  TemplateOperation AsFunction() const { return Get<TemplateOperation>(); }
  const TemplateUndefined* AsUndefined() const { return std::get_if<TemplateUndefined>(&value_); }
  // An int, or a bool as an int.
  std::optional<int64_t> AsInteger() const;
  // An int, bool or float.
  std::optional<double> AsNumber() const;

 private:
  template <class Pointer>
  auto Get() const -> decltype(&**std::declval<const Pointer*>()) {
    const Pointer* pointer = std::get_if<Pointer>(&value_);
    return pointer != nullptr ? &**pointer : nullptr;
  }

  Variant value_;
};

struct TemplateList {
  std::vector<TemplateValue> items;
  // Whether this is Python's tuple, which is printed differently and is not equal to a list.
  bool is_tuple = false;
};

// In the order of insertion. Lookups are linear: the dicts that templates create are small, and a caller that sends a
// large one is charged for it.
struct TemplateDict {
  std::vector<std::pair<TemplateValue, TemplateValue>> entries;

  // nullptr if the key is not there. Charges the run for the entries that it looks at.
  absl::StatusOr<const TemplateValue*> Find(TemplateRun& run, const TemplateValue& key) const;
  absl::StatusOr<const TemplateValue*> Find(TemplateRun& run, absl::string_view key) const;
};

struct TemplateNamespace {
  std::vector<std::pair<std::string, TemplateValue>> attributes;

  const TemplateValue* Find(absl::string_view name) const;
  void Set(absl::string_view name, TemplateValue value);
};

// The variable `loop`.
struct TemplateLoop {
  const std::vector<TemplateValue>* items;
  size_t index;

  // Undefined if there is no such attribute.
  TemplateValue Find(absl::string_view name) const;
};

// A method together with the value that it belongs to.
struct TemplateMethod {
  TemplateValue self;
  TemplateOperation operation;
};

// Python's bool(value).
bool IsTrue(const TemplateValue& value);

// These charge the run for what they walk through: containers may share their items, and so may be far larger than the
// memory that they take.

// Python's a == b. At most 64 levels of containers are compared.
absl::StatusOr<bool> AreEqual(TemplateRun& run, const TemplateValue& a, const TemplateValue& b);

// Python's a < b, for numbers and for strings. INTERNAL for others.
absl::StatusOr<bool> IsLess(TemplateRun& run, const TemplateValue& a, const TemplateValue& b);

// Python's `value in container`: substrings, items of lists, keys of dicts. INTERNAL for others.
absl::StatusOr<bool> Contains(TemplateRun& run, const TemplateValue& container, const TemplateValue& value);

// For messages: Python's name of the type, or "undefined 'name'".
std::string Describe(const TemplateValue& value);

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_VALUE_H_
