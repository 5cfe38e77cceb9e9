#ifndef PREDICTD_SERVER_TEMPLATE_AST_H_
#define PREDICTD_SERVER_TEMPLATE_AST_H_

// A parsed chat template: the nodes of Jinja, with names and constants ready for use. Constant after parsing.

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/template/string.h"
#include "server/template/value.h"

namespace predictd {

struct TemplateExpression;
struct TemplateStatement;
using TemplateExpressionPtr = std::unique_ptr<const TemplateExpression>;
using TemplateBody = std::vector<TemplateStatement>;

// A variable's name. Within one template, equal names have the same address.
using TemplateName = const std::string*;

struct TemplateCallArguments {
  std::vector<TemplateExpressionPtr> positional;
  std::vector<std::pair<std::string, TemplateExpressionPtr>> named;
};

struct ConstantExpression {
  TemplateValue value;
};
struct NameExpression {
  TemplateName name;
};
// object.name
struct AttributeExpression {
  TemplateExpressionPtr object;
  std::string name;
};
// object[key]
struct ItemExpression {
  TemplateExpressionPtr object;
  TemplateExpressionPtr key;
};
// object[start:stop:step]; each bound may be null.
struct SliceExpression {
  TemplateExpressionPtr object;
  TemplateExpressionPtr start;
  TemplateExpressionPtr stop;
  TemplateExpressionPtr step;
};
struct ListExpression {
  std::vector<TemplateExpressionPtr> items;
  bool is_tuple;
};
struct DictExpression {
  std::vector<std::pair<TemplateExpressionPtr, TemplateExpressionPtr>> entries;
};
// `a if test else b`; b may be null.
struct ConditionalExpression {
  TemplateExpressionPtr test;
  TemplateExpressionPtr then;
  TemplateExpressionPtr otherwise;
};
// `and`, `or`: the value of one side.
struct LogicalExpression {
  bool is_and;
  TemplateExpressionPtr left;
  TemplateExpressionPtr right;
};
struct NotExpression {
  TemplateExpressionPtr operand;
};
// -a or +a
struct SignExpression {
  bool negative;
  TemplateExpressionPtr operand;
};
enum class ArithmeticOperator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
struct ArithmeticExpression {
  ArithmeticOperator op;
  TemplateExpressionPtr left;
  TemplateExpressionPtr right;
};
// a ~ b ~ c
struct ConcatenationExpression {
  std::vector<TemplateExpressionPtr> parts;
};
enum class ComparisonOperator { kEqual, kNotEqual, kLess, kLessOrEqual, kGreater, kGreaterOrEqual, kIn, kNotIn };
// a < b < c
struct ComparisonExpression {
  TemplateExpressionPtr first;
  std::vector<std::pair<ComparisonOperator, TemplateExpressionPtr>> rest;
};
// A filter or a test: `operand | filter(...)`.
struct OperationExpression {
  TemplateExpressionPtr operand;
  TemplateOperation operation;
  TemplateCallArguments arguments;
};
struct CallExpression {
  TemplateExpressionPtr callee;
  TemplateCallArguments arguments;
};

struct TemplateExpression {
  int line;
  std::variant<ConstantExpression, NameExpression, AttributeExpression, ItemExpression, SliceExpression, ListExpression,
               DictExpression, ConditionalExpression, LogicalExpression, NotExpression, SignExpression,
               ArithmeticExpression, ConcatenationExpression, ComparisonExpression, OperationExpression, CallExpression>
      node;
};

// Filters that are applied to the output of a block, one after the other.
using TemplateFilters = std::vector<std::pair<TemplateOperation, TemplateCallArguments>>;

// The target of an assignment: a variable, or an attribute of a namespace variable if `attribute` is set, or several
// targets, one for each item.
struct TemplateTarget {
  TemplateName name = nullptr;
  std::string attribute;
  std::vector<TemplateTarget> items;
};

// Text of the template and expressions, one after the other.
struct OutputStatement {
  std::vector<std::variant<TemplateString, TemplateExpressionPtr>> parts;
};
struct AssignStatement {
  TemplateTarget target;
  TemplateExpressionPtr value;
};
// {% set name %}...{% endset %}
struct AssignBlockStatement {
  TemplateTarget target;
  TemplateFilters filters;
  TemplateBody body;
};
struct IfStatement {
  // The branch of `if`, then that of each `elif`.
  std::vector<std::pair<TemplateExpressionPtr, TemplateBody>> branches;
  TemplateBody otherwise;
};
struct ForStatement {
  TemplateTarget target;
  TemplateExpressionPtr items;
  // Selects items; may be null.
  TemplateExpressionPtr test;
  // The names that the loop itself defines in the body: `loop`, if the template mentions it.
  std::vector<TemplateName> own_names;
  TemplateBody body;
  // The body if there are no items.
  TemplateBody otherwise;
};
struct MacroStatement {
  TemplateName name;
  std::vector<TemplateName> parameters;
  // The defaults of the last parameters.
  std::vector<TemplateExpressionPtr> defaults;
  // The names that the macro itself defines in the body: `caller`, `varargs` and `kwargs`, if the body mentions them.
  // Only then does a macro accept a caller and arguments beyond its parameters.
  std::vector<TemplateName> own_names;
  TemplateBody body;
};
// {% call(...) macro() %}...{% endcall %}
struct CallBlockStatement {
  TemplateExpressionPtr call;
  MacroStatement caller;
};
// {% filter name %}...{% endfilter %}
struct FilterBlockStatement {
  TemplateFilters filters;
  TemplateBody body;
};
// A scope: what is set in the body is gone after it. This is {% with %}, and {% generation %}, which marks what an
// assistant said.
struct ScopeStatement {
  std::vector<std::pair<TemplateTarget, TemplateExpressionPtr>> values;
  TemplateBody body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct TemplateStatement {
  int line;
  std::variant<OutputStatement, AssignStatement, AssignBlockStatement, IfStatement, ForStatement, MacroStatement,
               CallBlockStatement, FilterBlockStatement, ScopeStatement, BreakStatement, ContinueStatement>
      node;
};

struct TemplateProgram {
  // All names to which nodes point. The elements of a set never move.
  std::set<std::string> names;
  TemplateBody body;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_TEMPLATE_AST_H_
