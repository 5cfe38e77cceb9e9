#include "server/template/interpreter.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/template/access.h"
#include "server/template/arithmetic.h"
#include "server/template/functions.h"
#include "server/template/print.h"

namespace predictd {
namespace {

// Adds the line, unless a more inner line is already there.
absl::Status AtLine(const absl::Status& status, int line) {
  constexpr absl::string_view kPrefix = "chat template, line ";
  if (!absl::IsInternal(status) || absl::StartsWith(status.message(), kPrefix)) return status;
  return absl::InternalError(absl::StrCat(kPrefix, line, ": ", status.message()));
}

}  // namespace

// Counts the nesting for as long as it lives.
class TemplateInterpreter::Depth {
 public:
  explicit Depth(TemplateInterpreter& interpreter) : depth_(interpreter.depth_) { ++depth_; }
  ~Depth() { --depth_; }
  Depth(const Depth&) = delete;
  Depth& operator=(const Depth&) = delete;

 private:
  int& depth_;
};

void TemplateInterpreter::SetVariable(absl::string_view name, TemplateValue value) {
  const auto known = program_.names.find(std::string(name));
  if (known != program_.names.end()) scope_->Set(&*known, std::move(value));
}

absl::StatusOr<TemplateString> TemplateInterpreter::Execute() {
  const absl::StatusOr<Flow> flow = ExecuteBody(program_.body);
  if (!flow.ok()) return flow.status();
  return std::move(output_);
}

// --- Statements ---

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteBody(const TemplateBody& body) {
  const Depth depth(*this);
  for (const TemplateStatement& statement : body) {
    absl::Status charged = run_.Charge(1);
    if (charged.ok() && depth_ > run_.limits().max_depth) charged = absl::InternalError("it is nested too deeply");
    if (!charged.ok()) return AtLine(charged, statement.line);
    const absl::StatusOr<Flow> flow =
        std::visit([this](const auto& node) { return ExecuteNode(node); }, statement.node);
    if (!flow.ok()) return AtLine(flow.status(), statement.line);
    if (*flow != Flow::kNext) return *flow;
  }
  return Flow::kNext;
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const OutputStatement& output) {
  for (const auto& part : output.parts) {
    if (const auto* data = std::get_if<TemplateString>(&part)) {
      if (absl::Status status = Print(*data); !status.ok()) return status;
      continue;
    }
    const Result value = Evaluate(*std::get<TemplateExpressionPtr>(part));
    if (!value.ok()) return value.status();
    if (absl::Status status = Print(*value); !status.ok()) return status;
  }
  return Flow::kNext;
}

absl::Status TemplateInterpreter::Print(const TemplateString& text) {
  if (absl::Status status = run_.ChargeText(output_, text.size()); !status.ok()) return status;
  output_.Append(text);
  return absl::OkStatus();
}

absl::Status TemplateInterpreter::Print(const TemplateValue& value) {
  return AppendText(run_, value, output_);
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const AssignStatement& assign) {
  const Result value = Evaluate(*assign.value);
  if (!value.ok()) return value.status();
  if (absl::Status status = Assign(assign.target, *value); !status.ok()) return status;
  return Flow::kNext;
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const IfStatement& statement) {
  for (const auto& [test, body] : statement.branches) {
    const Result passes = Evaluate(*test);
    if (!passes.ok()) return passes.status();
    if (IsTrue(*passes)) return ExecuteBody(body);
  }
  return ExecuteBody(statement.otherwise);
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::ExecuteNode(const ForStatement& loop) {
  TemplateScope* const outer = scope_;
  scope_ = run_.NewScope(outer);
  const absl::StatusOr<TemplateList*> items = LoopItems(loop);
  absl::StatusOr<Flow> flow = items.ok() ? Loop(loop, **items) : items.status();
  scope_ = outer;
  if (flow.ok() && (*items)->items.empty()) flow = ExecuteBody(loop.otherwise);
  return flow;
}

absl::StatusOr<TemplateList*> TemplateInterpreter::LoopItems(const ForStatement& loop) {
  const Result value = Evaluate(*loop.items);
  if (!value.ok()) return value.status();
  const absl::StatusOr<TemplateList*> all = run_.Iterate(*value);
  if (!all.ok()) return all.status();
  // A copy, because the body may change the list.
  std::vector<TemplateValue> items;
  for (const TemplateValue& item : (*all)->items) {
    if (absl::Status status = run_.Charge(TemplateRun::kStepsPerItem); !status.ok()) return status;
    if (loop.test != nullptr) {
      if (absl::Status status = Assign(loop.target, item); !status.ok()) return status;
      const Result passes = Evaluate(*loop.test);
      if (!passes.ok()) return passes.status();
      if (!IsTrue(*passes)) continue;
    }
    items.push_back(item);
  }
  return run_.NewList(std::move(items));
}

absl::StatusOr<TemplateInterpreter::Flow> TemplateInterpreter::Loop(const ForStatement& loop,
                                                                    const TemplateList& items) {
  TemplateLoop* const variable = run_.NewLoop(items.items);
  for (size_t i = 0; i < items.items.size(); ++i) {
    // What the body assigns is gone with each item.
    scope_->variables.clear();
    variable->index = i;
    for (const TemplateName name : loop.own_names) scope_->Set(name, static_cast<const TemplateLoop*>(variable));
    if (absl::Status status = Assign(loop.target, items.items[i]); !status.ok()) return status;
    const absl::StatusOr<Flow> flow = ExecuteBody(loop.body);
    if (!flow.ok()) return flow.status();
    if (*flow == Flow::kBreak) break;
  }
  return Flow::kNext;
}

absl::Status TemplateInterpreter::Assign(const TemplateTarget& target, const TemplateValue& value) {
  if (!target.items.empty()) {
    const absl::StatusOr<TemplateList*> values = run_.Iterate(value);
    if (!values.ok()) return values.status();
    if ((*values)->items.size() != target.items.size()) {
      return absl::InternalError(
          absl::StrCat("cannot assign ", (*values)->items.size(), " values to ", target.items.size(), " names"));
    }
    for (size_t i = 0; i < target.items.size(); ++i) {
      if (absl::Status status = Assign(target.items[i], (*values)->items[i]); !status.ok()) return status;
    }
    return absl::OkStatus();
  }
  if (target.attribute.empty()) {
    scope_->Set(target.name, value);
    return absl::OkStatus();
  }
  const TemplateValue* object = scope_->Find(target.name);
  if (object == nullptr || object->AsNamespace() == nullptr) {
    return absl::InternalError(absl::StrCat("cannot assign to '", *target.name, ".", target.attribute,
                                            "', as only a namespace has attributes that change"));
  }
  if (absl::Status status = run_.ChargeLookup(object->AsNamespace()->attributes.size()); !status.ok()) return status;
  object->AsNamespace()->Set(target.attribute, value);
  return absl::OkStatus();
}

// --- Expressions ---

TemplateInterpreter::Result TemplateInterpreter::Evaluate(const TemplateExpression& expression) {
  const Depth depth(*this);
  absl::Status charged = run_.Charge(1);
  if (charged.ok() && depth_ > run_.limits().max_depth) charged = absl::InternalError("it is nested too deeply");
  if (!charged.ok()) return AtLine(charged, expression.line);
  Result value = std::visit([this](const auto& node) { return EvaluateNode(node); }, expression.node);
  if (!value.ok()) return AtLine(value.status(), expression.line);
  return value;
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const NameExpression& name) {
  if (const TemplateValue* value = scope_->Find(name.name)) return *value;
  if (const TemplateOperation function = FindTemplateFunction(*name.name)) return function;
  return TemplateUndefined{name.name};
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const AttributeExpression& attribute) {
  const Result object = Evaluate(*attribute.object);
  if (!object.ok()) return object.status();
  return GetAttribute(run_, *object, attribute.name);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ItemExpression& item) {
  const Result object = Evaluate(*item.object);
  if (!object.ok()) return object.status();
  const Result key = Evaluate(*item.key);
  if (!key.ok()) return key.status();
  return GetItem(run_, *object, *key);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const SliceExpression& slice) {
  const Result object = Evaluate(*slice.object);
  if (!object.ok()) return object.status();
  TemplateValue bounds[3] = {TemplateNone{}, TemplateNone{}, TemplateNone{}};
  const TemplateExpression* expressions[] = {slice.start.get(), slice.stop.get(), slice.step.get()};
  for (size_t i = 0; i < std::size(bounds); ++i) {
    if (expressions[i] == nullptr) continue;
    Result bound = Evaluate(*expressions[i]);
    if (!bound.ok()) return bound;
    bounds[i] = *std::move(bound);
  }
  return GetSlice(run_, *object, bounds[0], bounds[1], bounds[2]);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ListExpression& list) {
  std::vector<TemplateValue> items;
  for (const TemplateExpressionPtr& expression : list.items) {
    Result item = Evaluate(*expression);
    if (!item.ok()) return item;
    items.push_back(*std::move(item));
  }
  return run_.NewList(std::move(items), list.is_tuple);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const DictExpression& dict) {
  TemplateDict* const result = run_.NewDict();
  for (const auto& [key_expression, value_expression] : dict.entries) {
    Result key = Evaluate(*key_expression);
    if (!key.ok()) return key;
    Result value = Evaluate(*value_expression);
    if (!value.ok()) return value;
    size_t place = 0;
    for (; place < result->entries.size(); ++place) {
      const absl::StatusOr<bool> equal = AreEqual(run_, result->entries[place].first, *key);
      if (!equal.ok()) return equal.status();
      if (*equal) break;
    }
    if (place < result->entries.size()) {
      result->entries[place].second = *std::move(value);
    } else {
      result->entries.emplace_back(*std::move(key), *std::move(value));
    }
  }
  return result;
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ConditionalExpression& conditional) {
  const Result passes = Evaluate(*conditional.test);
  if (!passes.ok()) return passes.status();
  if (IsTrue(*passes)) return Evaluate(*conditional.then);
  return conditional.otherwise != nullptr ? Evaluate(*conditional.otherwise) : TemplateValue();
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const LogicalExpression& logical) {
  Result left = Evaluate(*logical.left);
  if (!left.ok() || IsTrue(*left) != logical.is_and) return left;
  return Evaluate(*logical.right);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const NotExpression& negation) {
  const Result operand = Evaluate(*negation.operand);
  if (!operand.ok()) return operand.status();
  return !IsTrue(*operand);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const SignExpression& sign) {
  const Result operand = Evaluate(*sign.operand);
  if (!operand.ok()) return operand.status();
  const Result negated = Negate(*operand);
  return sign.negative || !negated.ok() ? negated : Negate(*negated);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ArithmeticExpression& arithmetic) {
  const Result left = Evaluate(*arithmetic.left);
  if (!left.ok()) return left.status();
  const Result right = Evaluate(*arithmetic.right);
  if (!right.ok()) return right.status();
  return Calculate(run_, arithmetic.op, *left, *right);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ConcatenationExpression& concatenation) {
  TemplateString text;
  for (const TemplateExpressionPtr& expression : concatenation.parts) {
    const Result part = Evaluate(*expression);
    if (!part.ok()) return part.status();
    if (absl::Status status = AppendText(run_, *part, text); !status.ok()) return status;
  }
  return text;
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const ComparisonExpression& comparison) {
  Result left = Evaluate(*comparison.first);
  if (!left.ok()) return left;
  for (const auto& [op, expression] : comparison.rest) {
    Result right = Evaluate(*expression);
    if (!right.ok()) return right;
    const absl::StatusOr<bool> holds = Compare(op, *left, *right);
    if (!holds.ok()) return holds.status();
    if (!*holds) return false;
    left = std::move(right);
  }
  return true;
}

absl::StatusOr<bool> TemplateInterpreter::Compare(ComparisonOperator op, const TemplateValue& left,
                                                  const TemplateValue& right) {
  const auto negated = [](absl::StatusOr<bool> holds) { return holds.ok() ? absl::StatusOr<bool>(!*holds) : holds; };
  switch (op) {
    case ComparisonOperator::kEqual:
      return AreEqual(run_, left, right);
    case ComparisonOperator::kNotEqual:
      return negated(AreEqual(run_, left, right));
    case ComparisonOperator::kLess:
      return IsLess(run_, left, right);
    case ComparisonOperator::kLessOrEqual:
      return negated(IsLess(run_, right, left));
    case ComparisonOperator::kGreater:
      return IsLess(run_, right, left);
    case ComparisonOperator::kGreaterOrEqual:
      return negated(IsLess(run_, left, right));
    case ComparisonOperator::kIn:
      return Contains(run_, right, left);
    case ComparisonOperator::kNotIn:
      return negated(Contains(run_, right, left));
  }
  return false;
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const OperationExpression& operation) {
  const Result operand = Evaluate(*operation.operand);
  if (!operand.ok()) return operand.status();
  const absl::StatusOr<TemplateArguments> arguments = EvaluateArguments(operation.arguments);
  if (!arguments.ok()) return arguments.status();
  return operation.operation(run_, *operand, *arguments);
}

TemplateInterpreter::Result TemplateInterpreter::EvaluateNode(const CallExpression& call) {
  const Result callee = Evaluate(*call.callee);
  if (!callee.ok()) return callee.status();
  const absl::StatusOr<TemplateArguments> arguments = EvaluateArguments(call.arguments);
  if (!arguments.ok()) return arguments.status();
  return Call(*callee, *arguments);
}

TemplateInterpreter::Result TemplateInterpreter::Call(const TemplateValue& callee, const TemplateArguments& arguments) {
  if (const TemplateOperation function = callee.AsFunction()) return function(run_, TemplateValue(), arguments);
  if (const TemplateMethod* method = callee.AsMethod()) return method->operation(run_, method->self, arguments);
  if (const TemplateMacro* macro = callee.AsMacro()) return CallMacro(*macro, arguments);
  return absl::InternalError(absl::StrCat("cannot call ", Describe(callee)));
}

absl::StatusOr<TemplateArguments> TemplateInterpreter::EvaluateArguments(const TemplateCallArguments& arguments) {
  TemplateArguments values;
  for (const TemplateExpressionPtr& expression : arguments.positional) {
    Result value = Evaluate(*expression);
    if (!value.ok()) return value.status();
    values.positional.push_back(*std::move(value));
  }
  for (const auto& [name, expression] : arguments.named) {
    Result value = Evaluate(*expression);
    if (!value.ok()) return value.status();
    values.named.emplace_back(name, *std::move(value));
  }
  return values;
}

}  // namespace predictd
