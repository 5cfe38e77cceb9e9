#include "server/torch/known_values.h"

#include <string_view>

namespace predictd {
namespace {

using torch::jit::Node;
using torch::jit::Value;

// The result of an operator on one or two values, if it is a known truth value.
std::optional<bool> Truth(std::string_view kind, const std::optional<c10::IValue>& a,
                          const std::optional<c10::IValue>& b) {
  const auto is = [](const std::optional<c10::IValue>& value, bool truth) {
    return value.has_value() && value->isBool() && value->toBool() == truth;
  };
  if (kind == "aten::__not__" && a.has_value() && a->isBool()) return !a->toBool();
  if (kind == "aten::__and__" && (is(a, false) || is(b, false))) return false;
  if (kind == "aten::__or__" && (is(a, true) || is(b, true))) return true;
  if (!a.has_value() || !b.has_value()) return std::nullopt;
  if (kind == "aten::__and__" && is(a, true) && is(b, true)) return true;
  if (kind == "aten::__or__" && is(a, false) && is(b, false)) return false;
  if (kind == "aten::__is__" && (a->isNone() || b->isNone())) return a->isNone() && b->isNone();
  if (kind == "aten::__isnot__" && (a->isNone() || b->isNone())) return !(a->isNone() && b->isNone());
  const bool comparable = (a->isInt() && b->isInt()) || (a->isDouble() && b->isDouble()) ||
                          (a->isBool() && b->isBool()) || (a->isString() && b->isString());
  if (comparable && kind == "aten::eq") return *a == *b;
  if (comparable && kind == "aten::ne") return *a != *b;
  return std::nullopt;
}

}  // namespace

std::optional<c10::IValue> KnownValues::Find(const Value* value) const {
  const auto found = known_.find(value);
  return found == known_.end() ? std::nullopt : std::optional(found->second);
}

void KnownValues::Copy(const Value* from, const Value* to) {
  if (auto known = Find(from)) known_[to] = *std::move(known);
}

void KnownValues::Evaluate(const Node& node) {
  if (node.outputs().size() != 1 || node.inputs().empty() || node.inputs().size() > 2) return;
  const auto a = Find(node.inputs()[0]);
  const auto b = node.inputs().size() == 2 ? Find(node.inputs()[1]) : std::nullopt;
  if (const std::optional<bool> truth = Truth(node.kind().toQualString(), a, b)) Set(node.outputs()[0], *truth);
}

}  // namespace predictd
