#ifndef PREDICTD_SERVER_GENERATION_TEMPLATE_AST_H_
#define PREDICTD_SERVER_GENERATION_TEMPLATE_AST_H_

// A chat template as it was parsed: the nodes of Jinja, with names and constants ready for use. Constant after parsing.

#include <memory>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "server/generation/template_string.h"
#include "server/generation/template_value.h"

namespace predictd {

struct TemplateExpression;
struct TemplateStatement;
using TemplateExpressionPtr = std::unique_ptr<const TemplateExpression>;
using TemplateBody = std::vector<TemplateStatement>;

// A variable's name: one address for all that are the same in one template.
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
struct NegativeExpression {
  TemplateExpressionPtr operand;
};
enum class ArithmeticOperator { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo };
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
// A filter or test: `operand | filter(...)`.
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
               DictExpression, ConditionalExpression, LogicalExpression, NotExpression, NegativeExpression,
               ArithmeticExpression, ConcatenationExpression, ComparisonExpression, OperationExpression, CallExpression>
      node;
};

// What is assigned to: a variable, or if there is an attribute one of a namespace; or several of them, one for each
// item.
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
struct IfStatement {
  // if, then each elif.
  std::vector<std::pair<TemplateExpressionPtr, TemplateBody>> branches;
  TemplateBody otherwise;
};
struct ForStatement {
  TemplateTarget target;
  TemplateExpressionPtr items;
  // Which of them; may be null.
  TemplateExpressionPtr test;
  TemplateBody body;
  // Instead, if there are none.
  TemplateBody otherwise;
};
struct MacroStatement {
  TemplateName name;
  std::vector<TemplateName> parameters;
  // Of the last parameters.
  std::vector<TemplateExpressionPtr> defaults;
  TemplateBody body;
};
struct BreakStatement {};
struct ContinueStatement {};

struct TemplateStatement {
  int line;
  std::variant<OutputStatement, AssignStatement, IfStatement, ForStatement, MacroStatement, BreakStatement,
               ContinueStatement>
      node;
};

struct TemplateProgram {
  // All that any node points to. Nothing moves in a set.
  std::set<std::string> names;
  TemplateBody body;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_GENERATION_TEMPLATE_AST_H_
