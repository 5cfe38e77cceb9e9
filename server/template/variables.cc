#include "server/template/variables.h"

#include <algorithm>
#include <cstddef>
#include <set>
#include <variant>

#include "server/template/functions.h"

namespace predictd {
namespace {

using Names = std::set<TemplateName>;

// Walks through a template in the order in which it runs. `set` holds the names that are set at the current place.
class Reads {
 public:
  void Body(const TemplateBody& body, Names& set) {
    for (const TemplateStatement& statement : body) {
      std::visit([&](const auto& node) { Statement(node, set); }, statement.node);
    }
  }

  std::vector<std::string> TakeNames() { return {names_.begin(), names_.end()}; }

 private:
  // What is set inside is gone after it.
  void Inner(const TemplateBody& body, Names set) { Body(body, set); }

  void Statement(const OutputStatement& output, const Names& set) {
    for (const auto& part : output.parts) {
      if (const auto* expression = std::get_if<TemplateExpressionPtr>(&part)) Expression(*expression, set);
    }
  }
  void Statement(const AssignStatement& assign, Names& set) {
    Expression(assign.value, set);
    Target(assign.target, set);
  }
  void Statement(const AssignBlockStatement& assign, Names& set) {
    Inner(assign.body, set);
    Filters(assign.filters, set);
    Target(assign.target, set);
  }
  // A name that only some branches set may still be read from outside after them.
  void Statement(const IfStatement& statement, Names& set) {
    std::vector<Names> branches(statement.branches.size() + 1, set);
    for (size_t i = 0; i < statement.branches.size(); ++i) {
      Expression(statement.branches[i].first, set);
      Body(statement.branches[i].second, branches[i]);
    }
    Body(statement.otherwise, branches.back());
    for (const TemplateName name : branches.back()) {
      const bool everywhere =
          std::all_of(branches.begin(), branches.end(), [name](const Names& branch) { return branch.count(name) > 0; });
      if (everywhere) set.insert(name);
    }
  }
  void Statement(const ForStatement& loop, Names& set) {
    Expression(loop.items, set);
    Names inner = set;
    Target(loop.target, inner);
    for (const TemplateName name : loop.own_names) inner.insert(name);
    Expression(loop.test, inner);
    Inner(loop.body, inner);
    Inner(loop.otherwise, set);
  }
  void Statement(const MacroStatement& macro, Names& set) {
    set.insert(macro.name);
    Macro(macro, set);
  }
  void Statement(const CallBlockStatement& call, const Names& set) {
    Expression(call.call, set);
    Macro(call.caller, set);
  }
  void Statement(const FilterBlockStatement& block, const Names& set) {
    Inner(block.body, set);
    Filters(block.filters, set);
  }
  void Statement(const ScopeStatement& scope, const Names& set) {
    Names inner = set;
    for (const auto& [target, value] : scope.values) Expression(value, set);
    for (const auto& [target, value] : scope.values) Target(target, inner);
    Body(scope.body, inner);
  }
  void Statement(const BreakStatement& /*statement*/, const Names& /*set*/) {}
  void Statement(const ContinueStatement& /*statement*/, const Names& /*set*/) {}

  void Macro(const MacroStatement& macro, Names inner) {
    for (const TemplateExpressionPtr& value : macro.defaults) Expression(value, inner);
    inner.insert(macro.parameters.begin(), macro.parameters.end());
    for (const TemplateName name : macro.own_names) inner.insert(name);
    Body(macro.body, inner);
  }

  static void Target(const TemplateTarget& target, Names& set) {
    for (const TemplateTarget& item : target.items) Target(item, set);
    if (target.name != nullptr && target.attribute.empty()) set.insert(target.name);
  }

  void Filters(const TemplateFilters& filters, const Names& set) {
    for (const auto& [operation, arguments] : filters) Arguments(arguments, set);
  }

  void Expression(const TemplateExpressionPtr& expression, const Names& set) {
    if (expression == nullptr) return;
    std::visit([&](const auto& node) { Node(node, set); }, expression->node);
  }

  void Node(const ConstantExpression& /*node*/, const Names& /*set*/) {}
  void Node(const NameExpression& node, const Names& set) {
    if (set.count(node.name) == 0 && FindTemplateFunction(*node.name) == nullptr) names_.insert(*node.name);
  }
  void Node(const AttributeExpression& node, const Names& set) { Expression(node.object, set); }
  void Node(const ItemExpression& node, const Names& set) {
    Expression(node.object, set);
    Expression(node.key, set);
  }
  void Node(const SliceExpression& node, const Names& set) {
    for (const auto* part : {&node.object, &node.start, &node.stop, &node.step}) Expression(*part, set);
  }
  void Node(const ListExpression& node, const Names& set) {
    for (const TemplateExpressionPtr& item : node.items) Expression(item, set);
  }
  void Node(const DictExpression& node, const Names& set) {
    for (const auto& [key, value] : node.entries) {
      Expression(key, set);
      Expression(value, set);
    }
  }
  void Node(const ConditionalExpression& node, const Names& set) {
    for (const auto* part : {&node.test, &node.then, &node.otherwise}) Expression(*part, set);
  }
  template <class Binary>
    requires requires(const Binary& node) {
      node.left;
      node.right;
    }
  void Node(const Binary& node, const Names& set) {
    Expression(node.left, set);
    Expression(node.right, set);
  }
  void Node(const NotExpression& node, const Names& set) { Expression(node.operand, set); }
  void Node(const SignExpression& node, const Names& set) { Expression(node.operand, set); }
  void Node(const ConcatenationExpression& node, const Names& set) {
    for (const TemplateExpressionPtr& part : node.parts) Expression(part, set);
  }
  void Node(const ComparisonExpression& node, const Names& set) {
    Expression(node.first, set);
    for (const auto& [op, operand] : node.rest) Expression(operand, set);
  }
  void Node(const OperationExpression& node, const Names& set) {
    Expression(node.operand, set);
    Arguments(node.arguments, set);
  }
  void Node(const CallExpression& node, const Names& set) {
    Expression(node.callee, set);
    Arguments(node.arguments, set);
  }

  void Arguments(const TemplateCallArguments& arguments, const Names& set) {
    for (const TemplateExpressionPtr& argument : arguments.positional) Expression(argument, set);
    for (const auto& [name, argument] : arguments.named) Expression(argument, set);
  }

  std::set<std::string> names_;
};

}  // namespace

std::vector<std::string> FindReadVariables(const TemplateBody& body) {
  Reads reads;
  Names set;
  reads.Body(body, set);
  return reads.TakeNames();
}

}  // namespace predictd
