#include "server/torch/value_marks.h"

#include <algorithm>
#include <string_view>
#include <utility>
#include <vector>

#include "server/torch/operators.h"

namespace predictd {
namespace {

// Whether a value of the type may be written to, or may hold one that may be.
bool IsMutable(const c10::Type& type) {
  switch (type.kind()) {
    case c10::TypeKind::IntType:
    case c10::TypeKind::FloatType:
    case c10::TypeKind::BoolType:
    case c10::TypeKind::ComplexType:
    case c10::TypeKind::NumberType:
    case c10::TypeKind::StringType:
    case c10::TypeKind::NoneType:
    case c10::TypeKind::DeviceObjType:
    case c10::TypeKind::EnumType:
    case c10::TypeKind::GeneratorType:
      return false;
    case c10::TypeKind::TupleType:
    case c10::TypeKind::OptionalType:
      return std::any_of(type.containedTypes().begin(), type.containedTypes().end(),
                         [](const c10::TypePtr& inner) { return IsMutable(*inner); });
    default:
      return true;
  }
}

bool Overlap(const c10::AliasInfo& a, const c10::AliasInfo& b) {
  return std::any_of(a.beforeSets().begin(), a.beforeSets().end(),
                     [&](c10::Symbol set) { return b.beforeSets().count(set) > 0; });
}

}  // namespace

unsigned ValueMarks::Held(unsigned marks) {
  return ((marks & (kState | kArgument)) << 1) | (marks & kHeld);
}

unsigned ValueMarks::Taken(unsigned marks) {
  return ((marks & kHeld) >> 1) | marks;
}

unsigned ValueMarks::Of(const Value* value) const {
  const auto found = marks_.find(value);
  return found == marks_.end() ? 0 : found->second;
}

void ValueMarks::Add(const Value* value, unsigned marks) {
  if (!IsMutable(*value->type())) return;
  unsigned& own = marks_[value];
  if ((own | marks) == own) return;
  own |= marks;
  changed_ = true;
}

void ValueMarks::Name(const Value* value, std::string name) {
  names_.try_emplace(value, std::move(name));
}

std::string ValueMarks::NameOf(const Value* value) const {
  const auto found = names_.find(value);
  return found == names_.end() ? "what the module keeps" : found->second;
}

void ValueMarks::Copy(const Value* from, const Value* to) {
  Add(to, Of(from));
  if (const auto name = names_.find(from); name != names_.end()) Name(to, name->second);
}

void ValueMarks::Propagate(const Node& node, const std::function<void(const Value*)>& written) {
  const c10::FunctionSchema* const schema = node.maybeSchema();
  if (schema == nullptr || node.kind().is_prim() || MayReturnArgument(node.kind().toQualString())) {
    return PropagateAll(node);
  }
  PropagateGeneric(node, *schema);
  const size_t arguments = std::min(schema->arguments().size(), node.inputs().size());
  for (size_t i = 0; i < arguments; ++i) {
    const c10::AliasInfo* const alias = schema->arguments()[i].alias_info();
    if (alias == nullptr) continue;
    if (alias->isWrite()) written(node.inputs()[i]);
    PropagateArgument(node, *schema, i, *alias);
  }
}

// For operators on any type, schemas do not say what happens to values that they take out of a list or dict, or copy
// to another one.
void ValueMarks::PropagateGeneric(const Node& node, const c10::FunctionSchema& schema) {
  const std::vector<c10::Argument>& arguments = schema.arguments();
  const std::string_view kind = node.kind().toQualString();
  bool hides = false;
  unsigned all_held = 0;
  for (size_t i = 0; i < arguments.size() && i < node.inputs().size(); ++i) {
    if (!arguments[i].type()->hasFreeVariables()) continue;
    hides = hides || arguments[i].alias_info() == nullptr;
    const unsigned held = Of(node.inputs()[i]) & kHeld;
    all_held |= held;
    for (size_t k = 0; k < arguments.size() && k < node.inputs().size(); ++k) {
      const c10::AliasInfo* const target = arguments[k].alias_info();
      if (k != i && target != nullptr && target->isWrite()) Add(node.inputs()[k], held);
    }
  }
  if (!hides) return;
  // These make a list of members that existed before.
  if (kind != "aten::add" && kind != "aten::mul" && kind != "aten::slice") return PropagateAll(node);
  for (const Value* output : node.outputs()) {
    Add(output, all_held);
    Name(output, NameOf(node.inputs()[0]));
  }
}

void ValueMarks::PropagateArgument(const Node& node, const c10::FunctionSchema& schema, size_t argument,
                                   const c10::AliasInfo& alias) {
  const Value* const input = node.inputs()[argument];
  const unsigned marks = Of(input);
  if (marks == 0) return;
  for (size_t k = 0; k < node.outputs().size() && k < schema.returns().size(); ++k) {
    const c10::AliasInfo* const returned = schema.returns()[k].alias_info();
    if (returned == nullptr) continue;
    if (returned->isWildcardBefore()) {
      Add(node.outputs()[k], Taken(marks));
    } else if (Overlap(alias, *returned)) {
      Add(node.outputs()[k], marks);
    }
    for (const c10::AliasInfo& contained : returned->containedTypes()) {
      if (contained.isWildcardBefore() || Overlap(alias, contained)) {
        Add(node.outputs()[k], Held(marks) | (marks & kHeld));
      }
    }
    if (Of(node.outputs()[k]) != 0) Name(node.outputs()[k], NameOf(input));
  }
  // An element is put into a list or dict that the operator writes to.
  if (alias.isWildcardAfter()) {
    for (size_t i = 0; i < schema.arguments().size() && i < node.inputs().size(); ++i) {
      const c10::AliasInfo* const target = schema.arguments()[i].alias_info();
      if (i != argument && target != nullptr && target->isWrite()) Add(node.inputs()[i], Held(marks));
    }
  }
}

void ValueMarks::PropagateAll(const Node& node) {
  unsigned marks = 0;
  unsigned held = 0;
  const std::string_view kind = node.kind().toQualString();
  const bool constructs = kind == "prim::ListConstruct" || kind == "prim::TupleConstruct" ||
                          kind == "prim::DictConstruct" || kind == "prim::CreateObject";
  for (const Value* input : node.inputs()) {
    marks |= constructs ? Held(Of(input)) : Taken(Of(input));
    held |= Of(input) & kHeld;
  }
  for (const Value* output : node.outputs()) {
    Add(output, constructs ? marks : marks | held);
    if (!node.inputs().empty() && Of(output) != 0) Name(output, NameOf(node.inputs()[0]));
  }
}

}  // namespace predictd
