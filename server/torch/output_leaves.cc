#include "server/torch/output_leaves.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/torch/elements.h"

namespace predictd {
namespace {

using c10::TypeKind;
using c10::TypePtr;

std::string Join(const std::string& path, const std::string& part) {
  return path.empty() ? part : absl::StrCat(path, ".", part);
}

// The key as Python prints it.
std::string KeyText(const c10::IValue& key) {
  if (key.isString()) return key.toStringRef();
  if (key.isBool()) return key.toBool() ? "True" : "False";
  if (key.isInt()) return absl::StrCat(key.toInt());
  if (!key.isDouble()) return key.tagKind();
  // Longer than any double's shortest text.
  std::array<char, 32> buffer{};
  const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), key.toDouble());
  std::string text(buffer.data(), end);
  if (text.find_first_not_of("-0123456789") == std::string::npos) text += ".0";
  return text;
}

bool IsNone(const c10::Type& type) {
  return type.kind() == TypeKind::NoneType;
}

// Whether every value of the type is a leaf.
bool IsLeafType(const c10::Type& type) {
  return type.kind() == TypeKind::TensorType || IsOfElements(type) || IsNone(type);
}

// Whether the number of leaves with a position differs between values of the type.
bool Varies(const c10::Type& type) {
  if (IsLeafType(type)) return false;
  switch (type.kind()) {
    case TypeKind::AnyType:
    case TypeKind::ListType:
      return true;
    case TypeKind::OptionalType:
    case TypeKind::UnionType:
      return std::any_of(type.containedTypes().begin(), type.containedTypes().end(),
                         [](const TypePtr& choice) { return !IsLeafType(*choice); });
    default:
      return false;
  }
}

std::optional<std::string> FieldName(const c10::TupleType& tuple, size_t i) {
  if (tuple.schema() == nullptr) return std::nullopt;
  return tuple.schema()->arguments()[i].name();
}

OutputLeaf Member(const OutputLeaf& parent, size_t i, const std::optional<std::string>& field) {
  OutputLeaf member = parent;
  member.path = Join(parent.path, field.value_or(absl::StrCat(i)));
  if (field.has_value()) member.name = *field;
  member.indices.push_back(i);
  return member;
}

// False if the leaves differ from value to value.
bool FlattenType(const c10::Type& type, OutputLeaf leaf, std::vector<OutputLeaf>& leaves) {
  if (type.kind() == TypeKind::OptionalType) {
    leaf.may_be_none = true;
    const c10::Type& inner = *type.expectRef<c10::OptionalType>().getElementType();
    if (!IsLeafType(inner)) return false;
    leaves.push_back(std::move(leaf));
    return true;
  }
  if (const auto* tuple = type.castRaw<c10::TupleType>()) {
    for (size_t i = 0; i < tuple->elements().size(); ++i) {
      if (!FlattenType(*tuple->elements()[i], Member(leaf, i, FieldName(*tuple, i)), leaves)) return false;
    }
    return true;
  }
  leaf.may_be_none = leaf.may_be_none || IsNone(type);
  if (!IsLeafType(type)) return false;
  leaves.push_back(std::move(leaf));
  return true;
}

bool IsListOfElements(const c10::IValue& value) {
  if (!value.isList()) return false;
  const c10::List<c10::IValue> list = value.toList();
  if (IsOfElements(*list.elementType())) return true;
  if (list.elementType()->kind() != TypeKind::AnyType) return false;
  const auto is_element = [](const c10::IValue& element) { return element.isScalar() || element.isString(); };
  const c10::ArrayRef<c10::IValue> elements = value.toListRef();
  return !elements.empty() && std::all_of(elements.begin(), elements.end(), is_element);
}

// Collects the leaves of a value.
class Flattener {
 public:
  explicit Flattener(std::vector<OutputLeaf>& leaves) : leaves_(leaves) {}

  // `type` is what is known of the value's type; nullptr if nothing is.
  void Flatten(const c10::IValue& value, const c10::Type* type, OutputLeaf leaf) {
    const bool is_list = value.isList() && !IsListOfElements(value);
    // If the whole value varies, nothing comes after it that depends on that; but the length of a list is never
    // promised.
    const bool whole = leaf.path.empty();
    const bool varies = leaf.ordered && (is_list || (!whole && type != nullptr && Varies(*type)));
    leaf.varying = leaf.varying || varies;
    leaf.may_be_none = type != nullptr && (type->kind() == TypeKind::OptionalType || IsNone(*type));
    if (type != nullptr && type->kind() == TypeKind::OptionalType) type = type->containedType(0).get();
    if (value.isTuple()) {
      FlattenTuple(value, type, leaf);
    } else if (value.isGenericDict()) {
      FlattenDict(value, leaf);
    } else if (is_list) {
      FlattenList(value, leaf);
    } else {
      leaf.loose = leaf.ordered && behind_varying_;
      leaf.value = value;
      leaves_.push_back(std::move(leaf));
    }
    behind_varying_ = behind_varying_ || varies;
  }

 private:
  void FlattenTuple(const c10::IValue& value, const c10::Type* type, const OutputLeaf& leaf) {
    const auto& tuple = value.toTupleRef();
    const auto own = type == nullptr ? tuple.type<c10::TupleType>() : nullptr;
    const auto* declared = type == nullptr ? own.get() : type->castRaw<c10::TupleType>();
    for (size_t i = 0; i < tuple.elements().size(); ++i) {
      const bool known = declared != nullptr && i < declared->elements().size();
      Flatten(tuple.elements()[i], known ? declared->elements()[i].get() : nullptr,
              Member(leaf, i, known ? FieldName(*declared, i) : std::nullopt));
    }
  }

  void FlattenDict(const c10::IValue& value, const OutputLeaf& leaf) {
    const auto dict = value.toGenericDict();
    for (const auto& entry : dict) {
      OutputLeaf member = leaf;
      member.name = KeyText(entry.key());
      member.path = Join(leaf.path, member.name);
      member.ordered = false;
      Flatten(entry.value(), dict.valueType().get(), std::move(member));
    }
  }

  void FlattenList(const c10::IValue& value, const OutputLeaf& leaf) {
    const c10::List<c10::IValue> list = value.toList();
    for (size_t i = 0; i < list.size(); ++i) {
      OutputLeaf member = Member(leaf, i, std::nullopt);
      // The name would be shared by several members.
      member.name.clear();
      Flatten(list.get(i), list.elementType().get(), std::move(member));
    }
  }

  std::vector<OutputLeaf>& leaves_;
  bool behind_varying_ = false;
};

}  // namespace

std::optional<std::vector<OutputLeaf>> LeavesOfType(const c10::Type& type) {
  std::vector<OutputLeaf> leaves;
  if (!FlattenType(type, {}, leaves)) return std::nullopt;
  return leaves;
}

std::vector<OutputLeaf> LeavesOf(const c10::IValue& value, const c10::Type& type) {
  std::vector<OutputLeaf> leaves;
  Flattener(leaves).Flatten(value, &type, {});
  return leaves;
}

}  // namespace predictd
