#ifndef PREDICTD_SERVER_TORCH_VALUE_MARKS_H_
#define PREDICTD_SERVER_TORCH_VALUE_MARKS_H_

// Which values of a TorchScript graph belong to the module or to its caller. Private to the predictd_torch target.

#include <torch/csrc/jit/ir/ir.h>

#include <functional>
#include <map>
#include <string>

namespace predictd {

// The marks of values, which only grow, and a name for those that have one, such as "self.last". Not thread-safe.
class ValueMarks {
 public:
  using Value = torch::jit::Value;
  using Node = torch::jit::Node;

  // What a value may be: part of the module's state or an argument, or something that holds one of these.
  enum Mark : unsigned { kState = 1, kHoldsState = 2, kArgument = 4, kHoldsArgument = 8 };

  // The marks of a container with such a member, and the marks of a member of such a container.
  static unsigned Held(unsigned marks);
  static unsigned Taken(unsigned marks);

  unsigned Of(const Value* value) const;
  // Adds marks, unless nobody can write to values of that type.
  void Add(const Value* value, unsigned marks);
  // Whether a value has got another mark since ForgetChange was called.
  bool changed() const { return changed_; }
  void ForgetChange() { changed_ = false; }

  // Names a value that has no name.
  void Name(const Value* value, std::string name);
  // "what the module keeps" for a value without a name.
  std::string NameOf(const Value* value) const;

  // Gives `to` the marks and the name of `from`.
  void Copy(const Value* from, const Value* to);

  // Adds the marks that the node's outputs, and the containers that it writes to, get by its schema; without one, as if
  // its outputs could be any of its inputs. Calls `written` with each input that the schema says it writes to.
  void Propagate(const Node& node, const std::function<void(const Value*)>& written);

 private:
  static constexpr unsigned kHeld = kHoldsState | kHoldsArgument;

  void PropagateAll(const Node& node);
  void PropagateGeneric(const Node& node, const c10::FunctionSchema& schema);
  void PropagateArgument(const Node& node, const c10::FunctionSchema& schema, size_t argument,
                         const c10::AliasInfo& alias);

  std::map<const Value*, unsigned> marks_;
  std::map<const Value*, std::string> names_;
  bool changed_ = false;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TORCH_VALUE_MARKS_H_
