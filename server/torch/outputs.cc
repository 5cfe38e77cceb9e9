#include "server/torch/outputs.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/torch/elements.h"
#include "server/torch/output_leaves.h"
#include "server/torch/tensor.h"

namespace predictd {
namespace {

using c10::TypeKind;
using c10::TypePtr;

// Takes the tensors of a dict that has one for every output; false for any other value.
bool TakeByKeys(const c10::IValue& value, const std::vector<TensorSpec>& outputs, std::vector<c10::IValue>& values) {
  if (!value.isGenericDict()) return false;
  const auto dict = value.toGenericDict();
  if (dict.keyType()->kind() != TypeKind::StringType) return false;
  for (const TensorSpec& output : outputs) {
    const auto found = dict.find(c10::IValue(output.name));
    if (found == dict.end() || !found->value().isTensor()) {
      values.clear();
      return false;
    }
    values.push_back(found->value());
  }
  return true;
}

// Finds the leaf of each output, by index.
class Matching {
 public:
  Matching(const std::vector<TensorSpec>& outputs, const std::vector<OutputLeaf>& leaves)
      : outputs_(outputs), leaves_(leaves), chosen_(outputs.size(), kNone) {
    for (size_t i = 0; i < leaves.size(); ++i) {
      ++paths_.try_emplace(leaves[i].path, i, 0).first->second.second;
      if (!leaves[i].name.empty()) ++names_.try_emplace(leaves[i].name, i, 0).first->second.second;
    }
  }

  absl::StatusOr<std::vector<size_t>> Match() {
    std::vector<size_t> unnamed;
    std::vector<size_t> by_field(outputs_.size(), kNone);
    bool all = true;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      by_field[i] = Find(outputs_[i].name);
      if (by_field[i] == kNone) all = false;
    }
    if (all) return by_field;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (by_field[i] != kNone && (!leaves_[by_field[i]].ordered || leaves_[by_field[i]].loose)) {
        chosen_[i] = by_field[i];
      } else {
        unnamed.push_back(i);
      }
    }
    if (absl::Status status = MatchByOrder(unnamed); !status.ok()) return status;
    for (size_t i : unnamed) {
      if (by_field[i] == kNone || by_field[i] == chosen_[i]) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("output ", outputs_[i].name, " is in the place of ", leaves_[chosen_[i]].path,
                       ": name all outputs as they are returned (", Names(), "), or none"));
    }
    return chosen_;
  }

 private:
  static constexpr size_t kNone = static_cast<size_t>(-1);

  size_t Find(const std::string& name) const {
    for (const auto* leaves : {&paths_, &names_}) {
      const auto found = leaves->find(name);
      if (found != leaves->end()) return found->second.second == 1 ? found->second.first : kNone;
    }
    return kNone;
  }

  absl::Status MatchByOrder(const std::vector<size_t>& unnamed) {
    std::vector<size_t> places;
    std::vector<size_t> sure;
    bool any_varying = false;
    size_t loose = kNone;
    for (size_t i = 0; i < leaves_.size(); ++i) {
      if (!leaves_[i].ordered) continue;
      any_varying = any_varying || leaves_[i].varying || leaves_[i].loose;
      if (leaves_[i].loose) {
        if (std::find(chosen_.begin(), chosen_.end(), i) == chosen_.end()) loose = std::min(loose, i);
        continue;
      }
      places.push_back(i);
      if (!leaves_[i].may_be_none) sure.push_back(i);
    }
    const bool any_optional =
        std::any_of(unnamed.begin(), unnamed.end(), [&](size_t i) { return outputs_[i].optional; });
    // The number of certain leaves must not depend on the value.
    if (sure.size() == unnamed.size() && !any_optional && !any_varying) places = std::move(sure);
    // An author who counted further may have meant a leaf after the list, which has no fixed position.
    for (size_t i = 0; loose != kNone && i < unnamed.size(); ++i) {
      if (i < places.size() && !leaves_[places[i]].varying) continue;
      return absl::FailedPreconditionError(
          absl::StrCat("output ", outputs_[unnamed[i]].name, " cannot be told by its order, as how much comes before ",
                       leaves_[loose].path, " differs: name it by its path; there are ", Names()));
    }
    if (places.size() < unnamed.size()) {
      const bool is_dict = places.empty() && !leaves_.empty();
      return absl::FailedPreconditionError(
          is_dict ? absl::StrCat("the model returned no output ", outputs_[unnamed[0]].name, "; there are ", Names())
                  : absl::StrCat("the model returns ", leaves_.size(), " outputs, model.toml has ", outputs_.size()));
    }
    for (size_t i = 0; i < unnamed.size(); ++i) chosen_[unnamed[i]] = places[i];
    return absl::OkStatus();
  }

  std::string Names() const {
    return absl::StrJoin(leaves_, ", ",
                         [](std::string* out, const OutputLeaf& leaf) { absl::StrAppend(out, leaf.path); });
  }

  const std::vector<TensorSpec>& outputs_;
  const std::vector<OutputLeaf>& leaves_;
  std::vector<size_t> chosen_;
  // The index of the leaf, and the number of leaves with that path or name.
  std::map<std::string, std::pair<size_t, int>> paths_;
  std::map<std::string, std::pair<size_t, int>> names_;
};

absl::StatusOr<Tensor> TakeOne(c10::IValue value, const TensorSpec& spec, bool unshare) {
  if (value.isTensor()) {
    at::Tensor tensor = std::move(value).toTensor();
    // Someone else holds the tensor, or the tensor of which it is a view.
    const bool shared = unshare && tensor.defined() &&
                        (tensor.use_count() > 1 || (tensor.has_storage() && tensor.storage().use_count() > 1));
    return FromTorch(shared && WhyNotServed(tensor).empty() ? tensor.clone() : std::move(tensor), spec.name);
  }
  if (value.isNone()) {
    if (spec.optional) return Tensor::Absent(spec.dtype);
    return absl::InternalError(absl::StrCat("output ", spec.name, " is None; optional = true in model.toml allows it"));
  }
  absl::StatusOr<Tensor> tensor = FromElements(value, spec);
  if (tensor.ok()) return tensor;
  return absl::InternalError(absl::StrCat("output ", spec.name, " is ", tensor.status().message()));
}

absl::StatusOr<std::vector<Tensor>> TakeAll(std::vector<c10::IValue> values, const std::vector<TensorSpec>& outputs,
                                            bool unshare) {
  std::vector<Tensor> tensors;
  tensors.reserve(values.size());
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StatusOr<Tensor> tensor = TakeOne(std::move(values[i]), outputs[i], unshare);
    if (!tensor.ok()) return tensor.status();
    tensors.push_back(*std::move(tensor));
  }
  return tensors;
}

}  // namespace

absl::StatusOr<OutputPlan> OutputPlan::Create(TypePtr returned, const Signature& signature) {
  OutputPlan plan(std::move(returned), signature.outputs);
  const std::optional<std::vector<OutputLeaf>> leaves = LeavesOfType(*plan.returned_);
  if (!leaves.has_value()) return plan;
  absl::StatusOr<std::vector<size_t>> matched = Matching(plan.outputs_, *leaves).Match();
  if (!matched.ok()) return matched.status();
  plan.places_.emplace();
  for (size_t i : *matched) plan.places_->push_back((*leaves)[i].indices);
  return plan;
}

absl::StatusOr<std::vector<Tensor>> OutputPlan::Convert(c10::IValue value, bool unshare) const {
  std::vector<c10::IValue> values;
  values.reserve(outputs_.size());
  if (places_.has_value()) {
    for (const std::vector<size_t>& place : *places_) {
      const c10::IValue* at = &value;
      for (size_t index : place) at = &at->toTupleRef().elements()[index];
      values.push_back(*at);
    }
  } else if (!TakeByKeys(value, outputs_, values)) {
    const std::vector<OutputLeaf> leaves = LeavesOf(value, *returned_);
    absl::StatusOr<std::vector<size_t>> matched = Matching(outputs_, leaves).Match();
    if (!matched.ok()) return absl::InternalError(matched.status().message());
    for (size_t i : *matched) values.push_back(leaves[i].value);
  }
  // Any remaining owner of a tensor now holds it beyond this call.
  value = c10::IValue();
  return TakeAll(std::move(values), outputs_, unshare);
}

}  // namespace predictd
