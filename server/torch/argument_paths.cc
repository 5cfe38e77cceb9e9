#include "server/torch/argument_paths.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/torch/elements.h"

namespace predictd {
namespace {

using c10::TypeKind;
using c10::TypePtr;

}  // namespace

TypePtr WithoutOptional(const TypePtr& type) {
  return type->kind() == TypeKind::OptionalType ? type->expectRef<c10::OptionalType>().getElementType() : type;
}

bool MayBeNone(const c10::Type& type) {
  return type.kind() == TypeKind::OptionalType || type.kind() == TypeKind::NoneType ||
         type.kind() == TypeKind::AnyType || c10::NoneType::get()->isSubtypeOf(type);
}

bool IsOpen(const c10::Type& type) {
  return type.kind() == TypeKind::DictType || (type.kind() == TypeKind::ListType && !IsOfElements(type));
}

std::string FieldName(const c10::TupleType& tuple, size_t i) {
  return tuple.schema() != nullptr ? tuple.schema()->arguments()[i].name() : absl::StrCat(i);
}

ArgumentPaths::ArgumentPaths(std::string method, std::vector<c10::Argument> arguments, std::vector<std::string> inputs)
    : method_(std::move(method)), arguments_(std::move(arguments)), inputs_(std::move(inputs)) {
  for (const c10::Argument& argument : arguments_) Flatten(argument.type(), argument.name(), argument);
}

void ArgumentPaths::Flatten(const TypePtr& optional, const std::string& path, const c10::Argument& argument) {
  const TypePtr type = WithoutOptional(optional);
  if (const auto* tuple = type->castRaw<c10::TupleType>()) {
    for (size_t i = 0; i < tuple->elements().size(); ++i) {
      const std::string field = FieldName(*tuple, i);
      const std::string member = absl::StrCat(path, ".", field);
      if (tuple->schema() != nullptr) fields_[field].push_back(member);
      Flatten(tuple->elements()[i], member, argument);
    }
    return;
  }
  const bool defaulted = argument.default_value().has_value();
  places_.push_back({.path = path,
                     .open = IsOpen(*type),
                     .is_dict = type->kind() == TypeKind::DictType,
                     .required = !defaulted && !MayBeNone(*argument.type()),
                     .defaulted = defaulted});
}

const ArgumentPaths::Place* ArgumentPaths::OnlyOpen() const {
  const Place* only = nullptr;
  for (const Place& place : places_) {
    if (!place.open) continue;
    if (only != nullptr) return nullptr;
    only = &place;
  }
  return only;
}

std::string ArgumentPaths::PathOf(const std::string& name) const {
  for (const Place& place : places_) {
    if (name == place.path && !place.is_dict) return name;
    if (place.open && name.starts_with(place.path + ".")) return name;
  }
  const auto field = fields_.find(name);
  return field != fields_.end() && field->second.size() == 1 ? field->second[0] : "";
}

bool ArgumentPaths::AllNamed() const {
  return std::none_of(inputs_.begin(), inputs_.end(), [this](const std::string& name) { return PathOf(name).empty(); });
}

std::optional<ArgumentPaths::Map> ArgumentPaths::ByNames() const {
  Map paths;
  const Place* const open = OnlyOpen();
  size_t further = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    std::string path = PathOf(inputs_[i]);
    if (path.empty()) {
      if (open == nullptr) return std::nullopt;
      path = absl::StrCat(open->path, ".", open->is_dict ? inputs_[i] : absl::StrCat(further));
      ++further;
    }
    if (!paths.emplace(std::move(path), i).second) return std::nullopt;
  }
  // If no input has a name of its own, all may be members of the only list or dict.
  const bool alone =
      std::all_of(places_.begin(), places_.end(), [](const Place& place) { return place.open || place.defaulted; });
  if (further == inputs_.size() && !alone) return std::nullopt;
  return paths;
}

absl::StatusOr<ArgumentPaths::Map> ArgumentPaths::ByOrder() const {
  const size_t inputs = inputs_.size();
  const auto opens = std::count_if(places_.begin(), places_.end(), [](const Place& place) { return place.open; });
  const size_t values = places_.size() - static_cast<size_t>(opens);
  const auto required = static_cast<size_t>(
      std::count_if(places_.begin(), places_.end(), [](const Place& place) { return place.required && !place.open; }));
  if (opens > 1 || (opens == 1 && required != values)) {
    return absl::FailedPreconditionError(
        absl::StrCat(Takes(), ": which of the inputs in model.toml go where can only be told by names: ", PathsText()));
  }
  if (inputs < required || (opens == 0 && inputs > values)) {
    return absl::FailedPreconditionError(absl::StrCat(Takes(), ", model.toml has ", inputs, " inputs"));
  }
  Map paths;
  size_t next = 0;
  for (const Place& place : places_) {
    if (place.open) {
      for (size_t i = 0; i < inputs - values; ++i, ++next) {
        paths.emplace(absl::StrCat(place.path, ".", place.is_dict ? inputs_[next] : absl::StrCat(i)), next);
      }
    } else if (next < inputs) {
      paths.emplace(place.path, next++);
    }
  }
  if (absl::Status status = CheckNames(paths); !status.ok()) return status;
  return paths;
}

absl::Status ArgumentPaths::CheckNames(const Map& paths) const {
  for (const auto& [path, input] : paths) {
    const std::string own = PathOf(inputs_[input]);
    if (own.empty() || own == path || path.starts_with(own + ".")) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the input ", inputs_[input], " is in the place of ", method_, "'s argument ", path,
                     ": name all inputs in model.toml as the arguments (", PathsText(), "), or none"));
  }
  return absl::OkStatus();
}

std::string ArgumentPaths::Takes() const {
  const auto describe = [](std::string* out, const c10::Argument& argument) {
    absl::StrAppend(out, argument.name(), ": ", argument.type()->annotation_str(),
                    argument.default_value().has_value() ? " = ..." : "");
  };
  return absl::StrCat(method_, " takes ", arguments_.size(), " arguments (", absl::StrJoin(arguments_, ", ", describe),
                      ")");
}

std::string ArgumentPaths::PathsText() const {
  return absl::StrJoin(places_, ", ", [](std::string* out, const Place& place) {
    absl::StrAppend(out, place.path, !place.open ? "" : place.is_dict ? ".KEY" : ".0");
  });
}

}  // namespace predictd
