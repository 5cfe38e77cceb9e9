#include "server/torch/effects.h"

#include <torch/csrc/jit/ir/constants.h>
#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/torch/known_values.h"
#include "server/torch/operators.h"
#include "server/torch/value_marks.h"

namespace predictd {
namespace {

using torch::jit::Block;
using torch::jit::Graph;
using torch::jit::Node;
using torch::jit::Value;

// Whether the result is the argument with a narrower type.
bool IsCast(const Node& node) {
  const std::string_view kind = node.kind().toQualString();
  return kind == "prim::unchecked_cast" || kind == "prim::unchecked_unwrap_optional" ||
         kind == "aten::_unwrap_optional";
}

// Follows what belongs to the module and to the caller through a method.
class Inspection {
 public:
  MethodEffects Run(const torch::jit::Module& module, const torch::jit::Method& method) {
    module_ = module;
    const std::shared_ptr<Graph> graph = Inlined(*method.graph());
    FindAssigned(*graph->block());
    std::vector<std::shared_ptr<Graph>> before;
    std::vector<std::shared_ptr<Graph>> after;
    // The hooks of inner modules are part of the code that calls these modules.
    if (method.name() == "forward") {
      before = HooksOf(module.type()->getForwardPreHooks());
      after = HooksOf(module.type()->getForwardHooks());
    }
    size_t assigned = 0;
    do {
      // An attribute that turns out to be assigned must not have been taken as known.
      assigned = assigned_.size();
      Forget();
      for (const auto& hook : before) Enter(*hook, 1);
      Enter(*graph, graph->inputs().size() - 1);
      for (const auto& hook : after) Enter(*hook, 1);
      // What a loop does late in one round it may see early in the next.
      do {
        marks_.ForgetChange();
        called_more_ = false;
        for (const auto& hook : before) {
          Walk(*hook->block());
          Pass(*hook, *graph);
          for (const auto& next : before) Pass(*hook, *next);
          for (const auto& next : after) Pass(*hook, *next);
        }
        Walk(*graph->block());
        for (const auto& hook : after) {
          Pass(*graph, *hook);
          Walk(*hook->block());
          for (const auto& next : after) Pass(*hook, *next);
        }
        WalkMethods();
      } while (marks_.changed() || called_more_);
    } while (assigned_.size() > assigned);
    return effects_;
  }

 private:
  // An object and the name of its method.
  using MethodKey = std::pair<const void*, std::string>;

  void Forget() {
    effects_ = {};
    marks_ = {};
    known_ = {};
    called_.clear();
  }

  std::vector<std::shared_ptr<Graph>> HooksOf(const std::vector<torch::jit::Function*>& hooks) {
    std::vector<std::shared_ptr<Graph>> graphs;
    for (torch::jit::Function* const hook : hooks) {
      graphs.push_back(Inlined(*torch::jit::toGraphFunction(*hook).graph()));
      FindAssigned(*graphs.back()->block());
    }
    return graphs;
  }

  // Enters a method of the module or one of its hooks, of which `given` inputs come from the caller.
  void Enter(const Graph& graph, size_t given) {
    const auto inputs = graph.inputs();
    marks_.Add(inputs[0], ValueMarks::kState);
    known_.Set(inputs[0], module_._ivalue());
    marks_.Name(inputs[0], "self");
    for (size_t i = 1; i <= given && i < inputs.size(); ++i)
      marks_.Add(inputs[i], ValueMarks::kArgument | ValueMarks::kHoldsArgument);
  }

  // The outputs of `from` may be passed to `to`, alone or inside of other values.
  void Pass(const Graph& from, const Graph& to) {
    for (const Value* output : from.outputs()) {
      const unsigned marks = ValueMarks::Taken(marks_.Of(output));
      for (size_t i = 1; i < to.inputs().size(); ++i) marks_.Add(to.inputs()[i], marks | ValueMarks::Held(marks));
    }
  }

  // Walks each method once per round, since methods may call each other. More of them may turn up meanwhile.
  void WalkMethods() {
    for (size_t i = 0; i < called_.size(); ++i) Walk(*called_[i]->block());
  }

  static std::shared_ptr<Graph> Inlined(const Graph& graph) {
    std::shared_ptr<Graph> copy = const_cast<Graph&>(graph).copy();
    torch::jit::Inline(*copy);
    return copy;
  }

  const Graph& SubgraphOf(const Node& node) {
    std::shared_ptr<Graph>& graph = subgraphs_[&node];
    if (graph == nullptr) graph = Inlined(*node.g(c10::attr::Subgraph));
    return *graph;
  }

  // An assigned attribute has no known value. Attributes are told apart by name only, as objects cannot be told apart
  // for certain.
  void FindAssigned(const Block& block) {
    for (const Node* node : block.nodes()) {
      if (node->kind() == c10::prim::SetAttr) assigned_.insert(node->s(c10::attr::name));
      if (node->hasAttribute(c10::attr::Subgraph)) FindAssigned(*const_cast<Graph&>(SubgraphOf(*node)).block());
      for (const Block* inner : node->blocks()) FindAssigned(*inner);
    }
  }

  void Copy(const Value* from, const Value* to) {
    marks_.Copy(from, to);
    known_.Copy(from, to);
  }

  void FoundState(std::string what) {
    if (effects_.state.empty()) effects_.state = std::move(what);
  }

  void FoundWrite(const Value* value, const Node& node) {
    const unsigned marks = marks_.Of(value);
    if ((marks & ValueMarks::kState) != 0) {
      FoundState(absl::StrCat("it changes ", marks_.NameOf(value), " in place (", node.kind().toQualString(), ")"));
    }
    if ((marks & ValueMarks::kArgument) != 0) effects_.writes_arguments = true;
  }

  void Walk(const Block& block) {
    for (const Node* node : block.nodes()) Visit(*node);
  }

  void Visit(const Node& node) {
    switch (node.kind()) {
      case c10::prim::Constant:
        return VisitConstant(node);
      case c10::prim::GetAttr:
        return VisitGetAttr(node);
      case c10::prim::SetAttr:
        return VisitSetAttr(node);
      case c10::prim::If:
        return VisitIf(node);
      case c10::prim::Loop:
        return VisitLoop(node);
      case c10::prim::fork:
      case c10::prim::awaitable:
        effects_.forks = effects_.forks || node.kind() == c10::prim::fork;
        return VisitSubgraph(node, SubgraphOf(node));
      case c10::prim::CallMethod:
        return VisitCall(node);
      default:
        break;
    }
    if (IsCast(node)) {
      Copy(node.input(0), node.output());
    } else {
      known_.Evaluate(node);
    }
    FindEffects(node);
    marks_.Propagate(node, [&](const Value* value) { FoundWrite(value, node); });
  }

  void VisitConstant(const Node& node) {
    if (const auto value = torch::jit::toIValue(node.output())) known_.Set(node.output(), *value);
    // A tensor that tracing captured belongs to the module.
    marks_.Add(node.output(), ValueMarks::kState | ValueMarks::kHoldsState);
    marks_.Name(node.output(), "a constant of its own");
  }

  void VisitGetAttr(const Node& node) {
    const Value* const object = node.input();
    const std::string& name = node.s(c10::attr::name);
    const unsigned marks = ValueMarks::Taken(marks_.Of(object));
    marks_.Add(node.output(), marks | ValueMarks::Held(marks));
    marks_.Name(node.output(), absl::StrCat(marks_.NameOf(object), ".", name));
    const auto known = known_.Find(object);
    if (!known.has_value() || !known->isObject() || assigned_.count(name) > 0) return;
    const auto& instance = known->toObjectRef();
    if (instance.type()->findAttributeSlot(name).has_value()) known_.Set(node.output(), instance.getAttr(name));
  }

  void VisitSetAttr(const Node& node) {
    if ((marks_.Of(node.input(0)) & ValueMarks::kState) != 0) {
      FoundState(absl::StrCat("it assigns ", marks_.NameOf(node.input(0)), ".", node.s(c10::attr::name)));
    }
    marks_.Add(node.input(0), ValueMarks::Held(marks_.Of(node.input(1))));
  }

  void VisitIf(const Node& node) {
    const auto condition = known_.Find(node.input());
    for (size_t i = 0; i < node.blocks().size(); ++i) {
      const bool taken = !condition.has_value() || !condition->isBool() || condition->toBool() == (i == 0);
      if (!taken) continue;
      const Block& block = *node.blocks()[i];
      Walk(block);
      for (size_t k = 0; k < node.outputs().size(); ++k) {
        const Value* const output = node.outputs()[k];
        if (condition.has_value()) {
          Copy(block.outputs()[k], output);
        } else {
          marks_.Add(output, marks_.Of(block.outputs()[k]));
        }
      }
    }
  }

  void VisitLoop(const Node& node) {
    // The inputs are the number of rounds, the condition and the carried values. The block takes the round's index
    // first, and returns the condition first.
    const Block& block = *node.blocks()[0];
    for (size_t i = 2; i < node.inputs().size(); ++i) {
      marks_.Add(block.inputs()[i - 1], marks_.Of(node.inputs()[i]));
      marks_.Add(node.outputs()[i - 2], marks_.Of(node.inputs()[i]));
    }
    Walk(block);
    for (size_t i = 1; i < block.outputs().size(); ++i) {
      marks_.Add(block.inputs()[i], marks_.Of(block.outputs()[i]));
      marks_.Add(node.outputs()[i - 1], marks_.Of(block.outputs()[i]));
    }
  }

  // Visits the graph of a task.
  void VisitSubgraph(const Node& node, const Graph& graph) {
    for (size_t i = 0; i < graph.inputs().size() && i < node.inputs().size(); ++i) {
      Copy(node.inputs()[i], graph.inputs()[i]);
    }
    Walk(*const_cast<Graph&>(graph).block());
    for (size_t i = 0; i < node.outputs().size() && i < graph.outputs().size(); ++i) {
      const unsigned marks = marks_.Of(graph.outputs()[i]);
      marks_.Add(node.outputs()[i], marks | ValueMarks::Held(marks));
    }
  }

  // Visits calls of methods of C++ classes, and of objects that are declared only by an interface.
  void VisitCall(const Node& node) {
    const std::string& name = node.s(c10::attr::name);
    const auto object = known_.Find(node.input(0));
    if (object.has_value() && object->isObject() && CallMethod(node, *object)) return;
    if (const auto* const interface = node.input(0)->type()->castRaw<c10::InterfaceType>()) {
      bool found = false;
      if (interface->is_module()) {
        for (const torch::jit::Module& module : module_.modules()) {
          if (module.type()->isSubtypeOf(*interface)) found = CallMethod(node, module._ivalue()) || found;
        }
      }
      if (!found)
        FoundState(absl::StrCat("it calls ", name, " of ", marks_.NameOf(node.input(0)), ", which may be any object"));
    }
    // The methods of C++ classes cannot be inspected. Those that exist (packed weights) have no state.
    unsigned marks = 0;
    for (const Value* input : node.inputs()) marks |= ValueMarks::Taken(marks_.Of(input));
    for (const Value* output : node.outputs()) marks_.Add(output, marks | ValueMarks::Held(marks));
  }

  // Whether the object's method has code that can be inspected, which WalkMethods does.
  bool CallMethod(const Node& node, const c10::IValue& object) {
    const std::string& name = node.s(c10::attr::name);
    torch::jit::Function* const method = object.toObjectRef().type()->findMethod(name);
    auto* const function = method == nullptr ? nullptr : torch::jit::tryToGraphFunction(*method);
    if (function == nullptr) return false;
    std::shared_ptr<Graph>& graph = methods_[MethodKey(&object.toObjectRef(), name)];
    if (graph == nullptr) {
      graph = Inlined(*function->graph());
      FindAssigned(*graph->block());
    }
    const auto inputs = graph->inputs();
    if (std::find(called_.begin(), called_.end(), graph) == called_.end()) {
      called_.push_back(graph);
      called_more_ = true;
      known_.Set(inputs[0], object);
      marks_.Name(inputs[0], marks_.NameOf(node.input(0)));
    }
    marks_.Add(inputs[0], marks_.Of(node.input(0)) | ValueMarks::kState);
    for (size_t i = 1; i < inputs.size() && i < node.inputs().size(); ++i) {
      marks_.Add(inputs[i], marks_.Of(node.inputs()[i]));
    }
    for (size_t i = 0; i < node.outputs().size() && i < graph->outputs().size(); ++i) {
      const unsigned marks = marks_.Of(graph->outputs()[i]);
      marks_.Add(node.outputs()[i], marks | ValueMarks::Held(marks));
    }
    return true;
  }

  // Whether the argument of that name is known to be false, 0 or None; nullopt if there is none of that name.
  std::optional<bool> IsOff(const Node& node, std::string_view argument) const {
    const c10::FunctionSchema* const schema = node.maybeSchema();
    const auto index =
        schema == nullptr ? std::nullopt : schema->argumentIndexWithName({argument.data(), argument.size()});
    if (!index.has_value() || static_cast<size_t>(*index) >= node.inputs().size()) return std::nullopt;
    const auto known = known_.Find(node.input(static_cast<size_t>(*index)));
    if (!known.has_value()) return false;
    return known->isNone() || (known->isBool() && !known->toBool()) || (known->isDouble() && known->toDouble() == 0) ||
           (known->isInt() && known->toInt() == 0);
  }

  void FindEffects(const Node& node) {
    const std::string_view kind = node.kind().toQualString();
    if (kind == "aten::requires_grad_" || kind == "aten::backward" || kind == "aten::grad") {
      effects_.differentiates = true;
    }
    if (kind == "aten::set_grad_enabled" && !IsOff(node, "val").value_or(false)) effects_.differentiates = true;
    const std::string_view condition = DrawsIf(kind);
    if (!condition.empty()) {
      const bool off = IsOff(node, condition).value_or(true) || IsOff(node, "p").value_or(false) ||
                       IsOff(node, "dropout").value_or(false);
      if (!off) FoundChance(absl::StrCat("it calls ", node.kind().toQualString(), " in training mode"));
    } else if (DrawsRandomNumbers(kind)) {
      FoundChance(absl::StrCat("it calls ", node.kind().toQualString()));
    }
    // These write to their inputs in training mode, and their schemas do not say so.
    const bool updates = (kind == "aten::batch_norm" || kind == "aten::native_batch_norm")
                             ? !IsOff(node, "training").value_or(true)
                         : kind == "aten::instance_norm" ? !IsOff(node, "use_input_stats").value_or(true)
                                                         : false;
    if (updates && !IsOff(node, "running_mean").value_or(true)) FoundWrite(node.input(3), node);
  }

  void FoundChance(std::string what) {
    if (effects_.chance.empty()) effects_.chance = std::move(what);
  }

  torch::jit::Module module_;
  MethodEffects effects_;
  ValueMarks marks_;
  KnownValues known_;
  std::map<const Node*, std::shared_ptr<Graph>> subgraphs_;
  std::map<MethodKey, std::shared_ptr<Graph>> methods_;
  // The graphs of methods_ that are called, as far as is known.
  std::vector<std::shared_ptr<Graph>> called_;
  std::set<std::string> assigned_;
  // Whether this round has found one more.
  bool called_more_ = false;
};

}  // namespace

MethodEffects InspectEffects(const torch::jit::Module& module, const torch::jit::Method& method) {
  return Inspection().Run(module, method);
}

}  // namespace predictd
