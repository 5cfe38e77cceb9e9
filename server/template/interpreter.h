#ifndef PREDICTD_SERVER_TEMPLATE_INTERPRETER_H_
#define PREDICTD_SERVER_TEMPLATE_INTERPRETER_H_

#include <deque>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/template/arguments.h"
#include "server/template/ast.h"
#include "server/template/run.h"
#include "server/template/string.h"
#include "server/template/value.h"

namespace predictd {

// A macro with the scope in which it was defined.
struct TemplateMacro {
  const MacroStatement* statement;
  const TemplateScope* scope;
};

// Executes one template once. Lives on the stack of the rendering thread.
class TemplateInterpreter {
 public:
  // Both must outlive it.
  TemplateInterpreter(const TemplateProgram& program, TemplateRun& run)
      : program_(program), run_(run), scope_(run.NewScope(nullptr)) {}

  // Sets a variable before the template runs. Does nothing if the template does not mention the variable.
  void SetVariable(absl::string_view name, TemplateValue value);

  // INVALID_ARGUMENT with the message of raise_exception; INTERNAL, with the line, for everything that is wrong with
  // the template.
  absl::StatusOr<TemplateString> Execute();

 private:
  enum class Flow { kNext, kBreak, kContinue };
  class Depth;
  using Result = absl::StatusOr<TemplateValue>;

  absl::StatusOr<Flow> ExecuteBody(const TemplateBody& body);
  absl::StatusOr<Flow> ExecuteNode(const OutputStatement& output);
  absl::StatusOr<Flow> ExecuteNode(const AssignStatement& assign);
  absl::StatusOr<Flow> ExecuteNode(const IfStatement& statement);
  absl::StatusOr<Flow> ExecuteNode(const ForStatement& loop);
  absl::StatusOr<Flow> ExecuteNode(const MacroStatement& macro);
  absl::StatusOr<Flow> ExecuteNode(const AssignBlockStatement& assign);
  absl::StatusOr<Flow> ExecuteNode(const CallBlockStatement& block);
  absl::StatusOr<Flow> ExecuteNode(const FilterBlockStatement& block);
  absl::StatusOr<Flow> ExecuteNode(const ScopeStatement& scope);
  absl::StatusOr<Flow> ExecuteNode(const BreakStatement&) { return Flow::kBreak; }
  absl::StatusOr<Flow> ExecuteNode(const ContinueStatement&) { return Flow::kContinue; }
  absl::Status Assign(const TemplateTarget& target, const TemplateValue& value);
  // Runs a body in that scope and returns its output.
  absl::StatusOr<TemplateString> Write(const TemplateBody& body, TemplateScope* scope);
  // Runs a body in its own scope, and returns its output after the filters.
  Result WriteFiltered(const TemplateBody& body, const TemplateFilters& filters);
  // These add a value to the output.
  absl::Status Print(const TemplateString& text);
  absl::Status Print(const TemplateValue& value);
  // The items that pass the loop's test.
  absl::StatusOr<TemplateList*> LoopItems(const ForStatement& loop);
  absl::StatusOr<Flow> Loop(const ForStatement& loop, const TemplateList& items);

  Result Evaluate(const TemplateExpression& expression);
  Result EvaluateNode(const ConstantExpression& constant) { return constant.value; }
  Result EvaluateNode(const NameExpression& name);
  Result EvaluateNode(const AttributeExpression& attribute);
  Result EvaluateNode(const ItemExpression& item);
  Result EvaluateNode(const SliceExpression& slice);
  Result EvaluateNode(const ListExpression& list);
  Result EvaluateNode(const DictExpression& dict);
  Result EvaluateNode(const ConditionalExpression& conditional);
  Result EvaluateNode(const LogicalExpression& logical);
  Result EvaluateNode(const NotExpression& negation);
  Result EvaluateNode(const SignExpression& sign);
  Result EvaluateNode(const ArithmeticExpression& arithmetic);
  Result EvaluateNode(const ConcatenationExpression& concatenation);
  Result EvaluateNode(const ComparisonExpression& comparison);
  Result EvaluateNode(const OperationExpression& operation);
  Result EvaluateNode(const CallExpression& call);
  absl::StatusOr<bool> Compare(ComparisonOperator op, const TemplateValue& left, const TemplateValue& right);
  absl::StatusOr<TemplateArguments> EvaluateArguments(const TemplateCallArguments& arguments);
  Result Call(const TemplateValue& callee, const TemplateArguments& arguments);
  Result CallMacro(const TemplateMacro& macro, const TemplateArguments& arguments);
  absl::Status BindParameters(const MacroStatement& macro, const TemplateArguments& arguments, TemplateScope& scope);

  const TemplateProgram& program_;
  TemplateRun& run_;
  std::deque<TemplateMacro> macros_;
  TemplateScope* scope_;
  // The output of the template, or of the macro that is being called.
  TemplateString output_;
  int depth_ = 0;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_INTERPRETER_H_
