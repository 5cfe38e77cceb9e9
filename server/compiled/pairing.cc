#include "server/compiled/pairing.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace predictd {
namespace {

// The leaves that are tensors. Numbers and None are part of the compiled code and are no inputs of it. Which leaves
// are missing shows in the numbers in the inputs' names, which count leaves. If the first leaf may be missing, the
// reading is taken that gives most inputs of model.toml their names.
std::vector<SpecLeaf> TensorsOf(const CompiledSource& source, const std::vector<SpecLeaf>& leaves,
                                const std::vector<std::string>& names) {
  const size_t count = source.inputs.size();
  std::vector<size_t> numbers;
  for (const CompiledInput& input : source.inputs) {
    absl::string_view name = input.name;
    size_t number = 0;
    if (!absl::ConsumePrefix(&name, "arg") || !absl::SimpleAtoi(name.substr(0, name.find('_')), &number)) break;
    numbers.push_back(number);
  }
  if (leaves.size() <= count || count == 0 || numbers.size() != count) return leaves;
  std::vector<SpecLeaf> best = leaves;
  int most = -1;
  for (size_t shift = 0; shift < leaves.size(); ++shift) {
    std::vector<SpecLeaf> tensors;
    int named = 0;
    for (size_t number : numbers) {
      const size_t at = number - numbers.front() + shift;
      if (number < numbers.front() || at >= leaves.size()) break;
      tensors.push_back(leaves[at]);
      named += std::find(names.begin(), names.end(), leaves[at].name) != names.end() ? 1 : 0;
    }
    if (tensors.size() == count && named > most) {
      most = named;
      best = std::move(tensors);
    }
  }
  return best;
}

}  // namespace

absl::StatusOr<std::vector<size_t>> PairInputs(const CompiledSource& source, const std::vector<SpecLeaf>& leaves,
                                               const std::vector<std::string>& names) {
  const std::vector<SpecLeaf> tensors = TensorsOf(source, leaves, names);
  if (tensors.size() != source.inputs.size()) {
    return absl::FailedPreconditionError(
        absl::StrCat("the package's code has ", source.inputs.size(), " inputs, its call spec ", tensors.size()));
  }
  const absl::StatusOr<std::vector<size_t>> matched = MatchNames(names, tensors, "input", /*all_leaves=*/true);
  if (!matched.ok()) return matched.status();
  std::vector<size_t> paired(tensors.size());
  for (size_t i = 0; i < matched->size(); ++i) paired[(*matched)[i]] = i;
  return paired;
}

absl::StatusOr<std::vector<size_t>> PairOutputs(const CompiledSource& source, const std::vector<SpecLeaf>& leaves,
                                                const std::vector<std::string>& names) {
  std::vector<SpecLeaf> tensors;
  std::vector<size_t> indices;
  for (size_t i = 0; i < leaves.size(); ++i) {
    if (!source.outputs.contains(i)) continue;
    tensors.push_back(leaves[i]);
    indices.push_back(i);
  }
  const absl::StatusOr<std::vector<size_t>> matched = MatchNames(names, tensors, "output", /*all_leaves=*/false);
  if (!matched.ok()) return matched.status();
  std::vector<size_t> paired;
  for (size_t leaf : *matched) paired.push_back(indices[leaf]);
  return paired;
}

}  // namespace predictd
