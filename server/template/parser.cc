#include "server/template/parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/template/filters.h"
#include "server/template/tests.h"

namespace predictd {
namespace {

using Json = nlohmann::json;

// How deeply nodes may be nested.
constexpr int kMaxTreeDepth = 200;

// Null if there is no such field, so that a missing field reads like one that was left out.
const Json& Field(const Json& node, const char* name) {
  static const Json null;
  const auto field = node.find(name);
  return field != node.end() ? *field : null;
}

// Builds the nodes of one program. The first error is kept, and nodes that are built after it are not used: so only
// loops over missing nodes need to check for errors.
class Parser {
 public:
  explicit Parser(TemplateProgram& program) : program_(program) {}

  absl::Status Parse(const Json& body) {
    program_.body = Body(body);
    return status_;
  }

 private:
  // Counts the depth of nested nodes, and knows the line of the innermost one.
  class Level {
   public:
    Level(Parser& parser, const Json& node) : parser_(parser), outer_line_(parser.line_) {
      const Json& line = node.is_object() ? Field(node, "line") : Json();
      if (line.is_number_integer()) parser_.line_ = line.get<int>();
      if (++parser_.depth_ > kMaxTreeDepth) parser_.Fail("nodes are nested too deeply");
    }
    ~Level() {
      --parser_.depth_;
      parser_.line_ = outer_line_;
    }
    Level(const Level&) = delete;
    Level& operator=(const Level&) = delete;

   private:
    Parser& parser_;
    const int outer_line_;
  };

  void Fail(absl::string_view what) {
    if (status_.ok()) status_ = absl::InvalidArgumentError(absl::StrCat("line ", line_, ": ", what));
  }

  std::string Text(const Json& node, const char* field) {
    const Json& value = Field(node, field);
    if (value.is_string()) return value.get<std::string>();
    Fail(absl::StrCat("expected text as '", field, "'"));
    return "";
  }

  const Json& List(const Json& node, const char* field) {
    static const Json empty = Json::array();
    const Json& value = Field(node, field);
    if (value.is_array()) return value;
    Fail(absl::StrCat("expected a list as '", field, "'"));
    return empty;
  }

  std::string Type(const Json& node) {
    if (node.is_object()) return Text(node, "type");
    Fail("expected a node");
    return "";
  }

  TemplateName Name(const Json& node) { return &*program_.names.insert(Text(node, "name")).first; }

  // --- Statements ---

  TemplateBody Body(const Json& nodes) {
    TemplateBody body;
    if (!nodes.is_array()) Fail("expected a list of statements");
    for (const Json& node : nodes.is_array() ? nodes : Json::array()) {
      body.push_back(Statement(node));
      if (!status_.ok()) break;
    }
    return body;
  }

  TemplateStatement Statement(const Json& node) {
    const Level level(*this, node);
    const int line = line_;
    if (!status_.ok()) return {line, BreakStatement{}};
    const std::string type = Type(node);
    if (type == "Output") return {line, Output(node)};
    if (type == "Assign")
      return {line, AssignStatement{Target(Field(node, "target")), Expression(Field(node, "node"))}};
    if (type == "If") return {line, If(node)};
    if (type == "For") return {line, For(node)};
    if (type == "Macro") return {line, Macro(node, Name(node))};
    if (type == "AssignBlock") return {line, AssignBlock(node)};
    if (type == "CallBlock") return {line, CallBlock(node)};
    if (type == "FilterBlock") return {line, FilterBlock(node)};
    if (type == "With") return {line, With(node)};
    if (type == "Scope") return {line, ScopeStatement{{}, Body(Field(node, "body"))}};
    if (type == "Break") return {line, BreakStatement{}};
    if (type == "Continue") return {line, ContinueStatement{}};
    Fail(absl::StrCat("'", type, "' is not supported"));
    return {line, BreakStatement{}};
  }

  OutputStatement Output(const Json& node) {
    OutputStatement output;
    for (const Json& part : List(node, "nodes")) {
      if (Type(part) == "TemplateData") {
        output.parts.emplace_back(TemplateString::Trusted(Text(part, "data")));
      } else {
        output.parts.emplace_back(Expression(part));
      }
    }
    return output;
  }

  AssignBlockStatement AssignBlock(const Json& node) {
    AssignBlockStatement assign;
    assign.target = Target(Field(node, "target"));
    AddFilters(Field(node, "filter"), assign.filters);
    assign.body = Body(Field(node, "body"));
    return assign;
  }

  FilterBlockStatement FilterBlock(const Json& node) {
    FilterBlockStatement block;
    AddFilters(Field(node, "filter"), block.filters);
    block.body = Body(Field(node, "body"));
    return block;
  }

  // Adds a chain of nested filters; the innermost one has no operand.
  void AddFilters(const Json& node, TemplateFilters& filters) {
    const Level level(*this, node);
    if (node.is_null() || !status_.ok()) return;
    if (Type(node) != "Filter") return Fail("expected a filter");
    AddFilters(Field(node, "node"), filters);
    const std::string name = Text(node, "name");
    const TemplateOperation operation = FindTemplateFilter(name);
    if (operation == nullptr) Fail(absl::StrCat("the filter '", name, "' is not supported"));
    filters.emplace_back(operation, Arguments(node));
  }

  ScopeStatement With(const Json& node) {
    ScopeStatement scope;
    const Json& targets = List(node, "targets");
    const Json& values = List(node, "values");
    if (targets.size() != values.size()) Fail("expected a value for each target");
    for (size_t i = 0; i < targets.size() && status_.ok(); ++i) {
      TemplateTarget target = Target(targets[i]);
      scope.values.emplace_back(std::move(target), Expression(values[i]));
    }
    scope.body = Body(Field(node, "body"));
    return scope;
  }

  CallBlockStatement CallBlock(const Json& node) {
    CallBlockStatement block;
    if (Type(Field(node, "call")) != "Call") Fail("expected a call");
    block.call = Expression(Field(node, "call"));
    block.caller = Macro(node, &*program_.names.insert("caller").first);
    return block;
  }

  IfStatement If(const Json& node) {
    IfStatement result;
    result.branches.emplace_back(Expression(Field(node, "test")), Body(Field(node, "body")));
    for (const Json& branch : List(node, "elif_")) {
      result.branches.emplace_back(Expression(Field(branch, "test")), Body(Field(branch, "body")));
    }
    result.otherwise = Body(Field(node, "else_"));
    return result;
  }

  ForStatement For(const Json& node) {
    if (Field(node, "recursive") == true) Fail("recursive loops are not supported");
    ForStatement result;
    result.target = Target(Field(node, "target"));
    result.items = Expression(Field(node, "iter"));
    result.test = Optional(Field(node, "test"));
    result.body = Body(Field(node, "body"));
    if (const auto loop = program_.names.find("loop"); loop != program_.names.end()) result.own_names = {&*loop};
    result.otherwise = Body(Field(node, "else_"));
    return result;
  }

  MacroStatement Macro(const Json& node, TemplateName name) {
    MacroStatement macro;
    macro.name = name;
    for (const Json& parameter : List(node, "args")) {
      if (Type(parameter) != "Name") Fail("expected a name as parameter");
      macro.parameters.push_back(Name(parameter));
    }
    macro.defaults = Expressions(List(node, "defaults"));
    if (macro.defaults.size() > macro.parameters.size()) Fail("a macro has more defaults than parameters");
    const size_t before = reads_.size();
    macro.body = Body(Field(node, "body"));
    for (const char* own : {"caller", "varargs", "kwargs"}) {
      const auto read = std::find_if(reads_.begin() + static_cast<std::ptrdiff_t>(before), reads_.end(),
                                     [own](TemplateName read) { return *read == own; });
      if (read != reads_.end()) macro.own_names.push_back(*read);
    }
    return macro;
  }

  TemplateTarget Target(const Json& node) {
    const Level level(*this, node);
    TemplateTarget target;
    if (!status_.ok()) return target;
    const std::string type = Type(node);
    if (type == "Tuple") {
      for (const Json& item : List(node, "items")) target.items.push_back(Target(item));
      if (target.items.empty()) Fail("expected something to assign to");
    } else if (type == "Name" || type == "NSRef") {
      target.name = Name(node);
      if (type == "NSRef") target.attribute = Text(node, "attr");
    } else {
      Fail(absl::StrCat("cannot assign to '", type, "'"));
    }
    return target;
  }

  // --- Expressions ---

  template <class Node>
  TemplateExpressionPtr Make(Node node) {
    return std::make_unique<const TemplateExpression>(TemplateExpression{line_, std::move(node)});
  }

  TemplateExpressionPtr Optional(const Json& node) { return node.is_null() ? nullptr : Expression(node); }

  std::vector<TemplateExpressionPtr> Expressions(const Json& nodes) {
    std::vector<TemplateExpressionPtr> expressions;
    for (const Json& node : nodes) {
      expressions.push_back(Expression(node));
      if (!status_.ok()) break;
    }
    return expressions;
  }

  TemplateExpressionPtr Expression(const Json& node) {
    const Level level(*this, node);
    if (!status_.ok()) return nullptr;
    const std::string type = Type(node);
    if (type == "Const") return Make(ConstantExpression{Constant(Field(node, "value"))});
    if (type == "TemplateData") return Make(ConstantExpression{TemplateString::Trusted(Text(node, "data"))});
    if (type == "Name") return Make(NameExpression{reads_.emplace_back(Name(node))});
    if (type == "Getattr") return Make(AttributeExpression{Expression(Field(node, "node")), Text(node, "attr")});
    if (type == "Getitem") return Item(node);
    if (type == "List" || type == "Tuple")
      return Make(ListExpression{Expressions(List(node, "items")), type == "Tuple"});
    if (type == "Dict") return Dict(node);
    if (type == "CondExpr") {
      return Make(ConditionalExpression{Expression(Field(node, "test")), Expression(Field(node, "expr1")),
                                        Optional(Field(node, "expr2"))});
    }
    if (type == "And" || type == "Or") {
      return Make(LogicalExpression{type == "And", Expression(Field(node, "left")), Expression(Field(node, "right"))});
    }
    if (type == "Not") return Make(NotExpression{Expression(Field(node, "node"))});
    if (type == "Neg" || type == "Pos") return Make(SignExpression{type == "Neg", Expression(Field(node, "node"))});
    if (type == "Concat") return Make(ConcatenationExpression{Expressions(List(node, "nodes"))});
    if (type == "Compare") return Comparison(node);
    if (type == "Filter") return Operation(node, "filter", FindTemplateFilter);
    if (type == "Test") return Operation(node, "test", FindTemplateTest);
    if (type == "Call") return Make(CallExpression{Expression(Field(node, "node")), Arguments(node)});
    return Arithmetic(node, type);
  }

  TemplateExpressionPtr Arithmetic(const Json& node, const std::string& type) {
    constexpr std::pair<absl::string_view, ArithmeticOperator> kOperators[] = {
        {"Add", ArithmeticOperator::kAdd},
        {"Sub", ArithmeticOperator::kSubtract},
        {"Mul", ArithmeticOperator::kMultiply},
        {"Div", ArithmeticOperator::kDivide},
        {"FloorDiv", ArithmeticOperator::kFloorDivide},
        {"Mod", ArithmeticOperator::kModulo},
        {"Pow", ArithmeticOperator::kPower},
    };
    for (const auto& [name, op] : kOperators) {
      if (name != type) continue;
      return Make(ArithmeticExpression{op, Expression(Field(node, "left")), Expression(Field(node, "right"))});
    }
    Fail(absl::StrCat("'", type, "' is not supported"));
    return nullptr;
  }

  TemplateValue Constant(const Json& value) {
    if (value.is_null()) return TemplateNone{};
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_string()) return TemplateString::Trusted(value.get_ref<const std::string&>());
    if (value.is_number_float()) return value.get<double>();
    const bool fits =
        value.is_number_integer() &&
        (!value.is_number_unsigned() || value.get<uint64_t>() <= uint64_t{std::numeric_limits<int64_t>::max()});
    if (fits) return value.get<int64_t>();
    Fail("expected text, a number that 64 bits hold, true, false or null as constant");
    return {};
  }

  TemplateExpressionPtr Item(const Json& node) {
    const Json& key = Field(node, "arg");
    TemplateExpressionPtr object = Expression(Field(node, "node"));
    if (key.is_object() && Type(key) == "Slice") {
      return Make(SliceExpression{std::move(object), Optional(Field(key, "start")), Optional(Field(key, "stop")),
                                  Optional(Field(key, "step"))});
    }
    return Make(ItemExpression{std::move(object), Expression(key)});
  }

  TemplateExpressionPtr Dict(const Json& node) {
    DictExpression dict;
    for (const Json& pair : List(node, "items")) {
      if (Type(pair) != "Pair") Fail("expected a pair");
      if (!status_.ok()) break;
      TemplateExpressionPtr key = Expression(Field(pair, "key"));
      dict.entries.emplace_back(std::move(key), Expression(Field(pair, "value")));
    }
    return Make(std::move(dict));
  }

  TemplateExpressionPtr Comparison(const Json& node) {
    constexpr std::pair<absl::string_view, ComparisonOperator> kOperators[] = {
        {"eq", ComparisonOperator::kEqual},   {"ne", ComparisonOperator::kNotEqual},
        {"lt", ComparisonOperator::kLess},    {"lteq", ComparisonOperator::kLessOrEqual},
        {"gt", ComparisonOperator::kGreater}, {"gteq", ComparisonOperator::kGreaterOrEqual},
        {"in", ComparisonOperator::kIn},      {"notin", ComparisonOperator::kNotIn},
    };
    ComparisonExpression comparison;
    comparison.first = Expression(Field(node, "expr"));
    for (const Json& operand : List(node, "ops")) {
      const std::string op = Type(operand) == "Operand" ? Text(operand, "op") : "";
      if (!status_.ok()) break;
      const size_t before = comparison.rest.size();
      for (const auto& [name, known] : kOperators) {
        if (name == op) comparison.rest.emplace_back(known, Expression(Field(operand, "expr")));
      }
      if (comparison.rest.size() == before) Fail(absl::StrCat("the comparison '", op, "' is not supported"));
    }
    return Make(std::move(comparison));
  }

  TemplateExpressionPtr Operation(const Json& node, const char* kind, TemplateOperation (*find)(absl::string_view)) {
    const std::string name = Text(node, "name");
    const TemplateOperation operation = find(name);
    if (operation == nullptr) Fail(absl::StrCat("the ", kind, " '", name, "' is not supported"));
    TemplateExpressionPtr operand = Expression(Field(node, "node"));
    return Make(OperationExpression{std::move(operand), operation, Arguments(node)});
  }

  TemplateCallArguments Arguments(const Json& node) {
    TemplateCallArguments arguments;
    if (!Field(node, "dyn_args").is_null() || !Field(node, "dyn_kwargs").is_null()) {
      Fail("arguments with * or ** are not supported");
    }
    arguments.positional = Expressions(List(node, "args"));
    for (const Json& keyword : List(node, "kwargs")) {
      const std::string type = Type(keyword);
      if (type == "Keyword") {
        arguments.named.emplace_back(Text(keyword, "key"), Expression(Field(keyword, "value")));
      } else {
        Fail(absl::StrCat("'", type, "' is not supported as argument"));
      }
    }
    return arguments;
  }

  TemplateProgram& program_;
  // Every name that has been read so far.
  std::vector<TemplateName> reads_;
  absl::Status status_;
  int line_ = 0;
  int depth_ = 0;
};

}  // namespace

absl::Status ParseTemplate(const Json& body, TemplateProgram& program) {
  return Parser(program).Parse(body);
}

}  // namespace predictd
