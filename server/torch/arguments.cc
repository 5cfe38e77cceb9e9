#include "server/torch/arguments.h"

#include <ATen/core/List.h>
#include <ATen/core/jit_type.h>

#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "server/torch/argument_paths.h"
#include "server/torch/elements.h"
#include "server/torch/tensor.h"

namespace predictd {
namespace {

using c10::TypeKind;
using c10::TypePtr;

absl::Status Misfit(absl::string_view message) {
  return absl::FailedPreconditionError(message);
}

// The text as a key of that type; nullopt if it is not one.
std::optional<c10::IValue> Key(const c10::Type& type, const std::string& text) {
  int64_t number = 0;
  double real = 0;
  bool flag = false;
  switch (type.kind()) {
    case TypeKind::StringType:
      return text;
    case TypeKind::IntType:
      if (absl::SimpleAtoi(text, &number)) return number;
      return std::nullopt;
    case TypeKind::FloatType:
      if (absl::SimpleAtod(text, &real)) return real;
      return std::nullopt;
    case TypeKind::BoolType:
      if (absl::SimpleAtob(text, &flag)) return flag;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

// How badly a type of a Union suits the input; 0 is a perfect match.
int Strangeness(const TypePtr& type, const TensorSpec& input) {
  if (type->kind() == TypeKind::TensorType) return 0;
  if (!IsOfElements(*type) || !HoldsItself(*type, input.dtype)) return 2;
  return WhyNotElements(*type, input).has_value() ? 1 : 0;
}

// Everything that the method is called with, in the order of model.toml.
std::vector<TensorSpec> AllInputs(const Signature& signature) {
  std::vector<TensorSpec> all = signature.inputs;
  for (const PaddingMask& mask : signature.padding.masks) {
    all.insert(all.begin() + static_cast<ptrdiff_t>(mask.argument),
               {.name = mask.name, .dtype = mask.dtype, .shape = {-1, -1}});
  }
  return all;
}

std::vector<std::string> NamesOf(const std::vector<TensorSpec>& specs) {
  std::vector<std::string> names;
  for (const TensorSpec& spec : specs) names.push_back(spec.name);
  return names;
}

}  // namespace

// Builds the values at the inputs' paths.
class ArgumentPlan::Builder {
 public:
  Builder(const c10::FunctionSchema& schema, const Signature& signature)
      : name_(schema.name()),
        arguments_(schema.arguments().begin() + 1, schema.arguments().end()),
        inputs_(AllInputs(signature)),
        argument_paths_(name_, arguments_, NamesOf(inputs_)) {}

  absl::StatusOr<std::vector<Node>> Build() {
    if (std::optional<ArgumentPaths::Map> paths = argument_paths_.ByNames()) {
      paths_ = *std::move(paths);
      absl::StatusOr<std::vector<Node>> nodes = BuildAll();
      // If the names determine everything, there is no second guess.
      if (nodes.ok() || argument_paths_.AllNamed()) return nodes;
    }
    absl::StatusOr<ArgumentPaths::Map> paths = argument_paths_.ByOrder();
    if (!paths.ok()) return paths.status();
    paths_ = *std::move(paths);
    return BuildAll();
  }

 private:
  absl::StatusOr<std::vector<Node>> BuildAll() {
    std::vector<Node> nodes;
    for (const c10::Argument& argument : arguments_) {
      absl::StatusOr<Node> node = BuildOne(argument.type(), argument.name(), argument.default_value());
      if (!node.ok()) return node.status();
      nodes.push_back(*std::move(node));
    }
    return nodes;
  }

  // The next parts of the paths below `path`, in the order of their inputs.
  std::vector<std::string> PartsBelow(const std::string& path, bool whole) const {
    std::vector<std::pair<size_t, std::string>> found;
    std::set<std::string> seen;
    for (const auto& [candidate, input] : paths_) {
      if (!candidate.starts_with(path + ".")) continue;
      std::string part = candidate.substr(path.size() + 1);
      if (!whole) part = part.substr(0, part.find('.'));
      if (seen.insert(part).second) found.emplace_back(input, part);
    }
    std::sort(found.begin(), found.end());
    std::vector<std::string> parts;
    for (auto& [input, part] : found) parts.push_back(std::move(part));
    return parts;
  }

  // `member_of_dict`: whether it may be left out of the dict that holds it.
  absl::StatusOr<Node> BuildOne(const TypePtr& optional, const std::string& path, std::optional<c10::IValue> fallback,
                                bool member_of_dict = false) {
    if (!fallback.has_value() && MayBeNone(*optional)) fallback.emplace();
    const TypePtr type = WithoutOptional(optional);
    const auto own = paths_.find(path);
    if (own == paths_.end() && PartsBelow(path, /*whole=*/true).empty()) {
      if (fallback.has_value()) return Node{.kind = Node::Kind::kFallback, .fallback = std::move(fallback)};
      return Misfit(absl::StrCat(name_, "'s argument ", path, " (", optional->annotation_str(),
                                 ") has no input in model.toml, and no default"));
    }
    if (const auto tuple = type->cast<c10::TupleType>()) return BuildTuple(tuple, path);
    if (IsOpen(*type)) return BuildOpen(type, path);
    return BuildValue(type, path, std::move(fallback), member_of_dict);
  }

  absl::StatusOr<Node> BuildTuple(const c10::TupleTypePtr& type, const std::string& path) {
    Node node{.kind = Node::Kind::kTuple, .type = type};
    for (size_t i = 0; i < type->elements().size(); ++i) {
      absl::StatusOr<Node> child =
          BuildOne(type->elements()[i], absl::StrCat(path, ".", FieldName(*type, i)), std::nullopt);
      if (!child.ok()) return child.status();
      node.children.push_back(*std::move(child));
    }
    return node;
  }

  absl::StatusOr<Node> BuildOpen(const TypePtr& type, const std::string& path) {
    const bool is_dict = type->kind() == TypeKind::DictType;
    const TypePtr member = is_dict ? type->containedType(1) : type->containedType(0);
    const auto own = paths_.find(path);
    if (own != paths_.end()) {
      // The input is a list of one element.
      paths_.emplace(path + ".0", own->second);
      paths_.erase(own);
    }
    Node node{.kind = is_dict ? Node::Kind::kDict : Node::Kind::kList, .type = type};
    const TypePtr inner = WithoutOptional(member);
    const bool is_value = !IsOpen(*inner) && inner->kind() != TypeKind::TupleType;
    std::vector<std::string> parts = PartsBelow(path, is_dict && is_value);
    for (size_t i = 0; i < parts.size(); ++i) {
      const std::string part = is_dict ? parts[i] : absl::StrCat(i);
      absl::StatusOr<Node> child = BuildOne(member, absl::StrCat(path, ".", part), std::nullopt, is_dict);
      if (!child.ok()) return child.status();
      node.children.push_back(*std::move(child));
      if (!is_dict) continue;
      std::optional<c10::IValue> key = Key(*type->containedType(0), part);
      if (!key.has_value()) {
        return Misfit(absl::StrCat(name_, "'s argument ", path, " is a ", type->annotation_str(),
                                   ", which has no key '", part, "'"));
      }
      node.keys.push_back(*std::move(key));
    }
    return node;
  }

  absl::StatusOr<Node> BuildValue(const TypePtr& type, const std::string& path, std::optional<c10::IValue> fallback,
                                  bool member_of_dict) {
    const auto own = paths_.find(path);
    if (own == paths_.end()) {
      return Misfit(absl::StrCat(name_, "'s argument ", path, " is a ", type->annotation_str(), ": it has no parts"));
    }
    const TensorSpec& input = inputs_[own->second];
    const std::string subject =
        absl::StrCat("the input ", input.name, ": ", name_, "'s argument ", path, ", a ", type->annotation_str(), ", ");
    if (input.optional && !fallback.has_value() && !member_of_dict) {
      return Misfit(absl::StrCat(subject, "has no default and cannot be None, so the input cannot be optional"));
    }
    Node node{.type = type, .input = own->second, .fallback = std::move(fallback)};
    if (member_of_dict && input.optional) node.fallback.reset();
    if (type->kind() == TypeKind::TensorType || (type->kind() == TypeKind::AnyType && input.dtype != DType::kBytes)) {
      if (input.dtype == DType::kBytes) return Misfit(absl::StrCat(subject, "cannot hold BYTES"));
      node.kind = Node::Kind::kTensor;
      return node;
    }
    if (type->kind() == TypeKind::AnyType) node.type = c10::ListType::ofStrings();
    if (type->kind() == TypeKind::UnionType) {
      return BuildUnion(type, path, input, node.fallback, member_of_dict);
    }
    if (!IsOfElements(*node.type)) return Misfit(absl::StrCat(subject, "cannot be made of a tensor"));
    if (const std::optional<std::string> why = WhyNotElements(*node.type, input)) {
      return Misfit(absl::StrCat(subject, *why));
    }
    node.kind = Node::Kind::kElements;
    return node;
  }

  // Among the types that the input fits, takes the first of those that match best: an integer is not a float.
  absl::StatusOr<Node> BuildUnion(const TypePtr& type, const std::string& path, const TensorSpec& input,
                                  const std::optional<c10::IValue>& fallback, bool member_of_dict) {
    std::vector<TypePtr> choices = type->containedTypes().vec();
    std::stable_sort(choices.begin(), choices.end(), [&input](const TypePtr& a, const TypePtr& b) {
      return Strangeness(a, input) < Strangeness(b, input);
    });
    for (const TypePtr& choice : choices) {
      if (choice->kind() == TypeKind::NoneType) continue;
      const ArgumentPaths::Map paths = paths_;
      absl::StatusOr<Node> node = BuildOne(choice, path, fallback, member_of_dict);
      if (node.ok()) return node;
      paths_ = paths;
    }
    return Misfit(absl::StrCat("the input at ", path, " fits none of the types of ", type->annotation_str()));
  }

  const std::string name_;
  const std::vector<c10::Argument> arguments_;
  const std::vector<TensorSpec> inputs_;
  const ArgumentPaths argument_paths_;
  ArgumentPaths::Map paths_;
};

absl::StatusOr<ArgumentPlan> ArgumentPlan::Create(const c10::FunctionSchema& schema, const Signature& signature) {
  absl::StatusOr<std::vector<Node>> arguments = Builder(schema, signature).Build();
  if (!arguments.ok()) return arguments.status();
  ArgumentPlan plan;
  plan.arguments_ = *std::move(arguments);
  std::vector<const Node*> nodes;
  for (const Node& node : plan.arguments_) nodes.push_back(&node);
  while (!nodes.empty()) {
    const Node* const node = nodes.back();
    nodes.pop_back();
    if (node->kind == Node::Kind::kElements) plan.tensors_only_ = false;
    for (const Node& child : node->children) nodes.push_back(&child);
  }
  return plan;
}

std::vector<c10::IValue> ArgumentPlan::Make(absl::Span<const Tensor> inputs, bool copy) const {
  std::vector<c10::IValue> arguments;
  // Self, which comes first, needs one more place.
  arguments.reserve(arguments_.size() + 1);
  for (const Node& node : arguments_) arguments.push_back(MakeNode(node, inputs, copy));
  return arguments;
}

c10::IValue ArgumentPlan::MakeNode(const Node& node, absl::Span<const Tensor> inputs, bool copy) {
  switch (node.kind) {
    case Node::Kind::kTensor:
      if (!inputs[node.input].present()) break;
      return copy ? ViewAsTorch(inputs[node.input]).clone() : ViewAsTorch(inputs[node.input]);
    case Node::Kind::kElements:
      if (!inputs[node.input].present()) break;
      return ToElements(inputs[node.input], *node.type);
    case Node::Kind::kFallback:
      break;
    default:
      return MakeContainer(node, inputs, copy);
  }
  // A default list belongs to the module, and methods may change theirs.
  return node.fallback->isPtrType() && !node.fallback->isString() ? node.fallback->deepcopy() : *node.fallback;
}

c10::IValue ArgumentPlan::MakeContainer(const Node& node, absl::Span<const Tensor> inputs, bool copy) {
  if (node.kind == Node::Kind::kDict) {
    c10::impl::GenericDict dict(node.type->containedType(0), node.type->containedType(1));
    for (size_t i = 0; i < node.children.size(); ++i) {
      const Node& child = node.children[i];
      const bool is_value = child.kind == Node::Kind::kTensor || child.kind == Node::Kind::kElements;
      if (is_value && !inputs[child.input].present() && !child.fallback.has_value()) continue;
      dict.insert(node.keys[i], MakeNode(child, inputs, copy));
    }
    return dict;
  }
  if (node.kind == Node::Kind::kList) {
    c10::impl::GenericList list(node.type->containedType(0));
    for (const Node& child : node.children) list.push_back(MakeNode(child, inputs, copy));
    return list;
  }
  std::vector<c10::IValue> elements;
  for (const Node& child : node.children) elements.push_back(MakeNode(child, inputs, copy));
  return c10::ivalue::Tuple::createNamed(std::move(elements), node.type->expect<c10::TupleType>());
}

}  // namespace predictd
