#include "server/template/list_filters.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/template/access.h"
#include "server/template/arguments.h"
#include "server/template/arithmetic.h"
#include "server/template/run.h"

namespace predictd {
namespace {

using Result = absl::StatusOr<TemplateValue>;

// An item, and the key by which it is compared.
struct Keyed {
  TemplateValue key;
  TemplateValue item;
};

bool IsGiven(const TemplateValue* argument) {
  return argument != nullptr && !argument->Is<TemplateNone>();
}

// The key of an item: the item itself or an attribute of it, in lower case unless case matters.
Result KeyOf(TemplateRun& run, const TemplateValue& item, bool case_sensitive, const TemplateValue* attribute) {
  Result key = IsGiven(attribute) ? GetPath(run, item, *attribute) : Result(item);
  if (!key.ok() || case_sensitive || key->AsText() == nullptr) return key;
  if (absl::Status status = run.Charge(key->AsText()->cost() + TemplateRun::kStepsPerText); !status.ok()) return status;
  return ConvertCase(*key->AsText(), LetterCase::kLower);
}

absl::StatusOr<std::vector<Keyed>> KeyedItems(TemplateRun& run, const TemplateValue& self, const TemplateValue* cased,
                                              const TemplateValue* attribute) {
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  std::vector<Keyed> keyed;
  for (const TemplateValue& item : (*list)->items) {
    if (absl::Status status = run.Charge(2 * TemplateRun::kStepsPerItem); !status.ok()) return status;
    Result key = KeyOf(run, item, cased != nullptr && IsTrue(*cased), attribute);
    if (!key.ok()) return key.status();
    keyed.push_back({*std::move(key), item});
  }
  return keyed;
}

// Python's sorted(): items that are equal keep their order, also when it is reversed.
absl::Status Sort(TemplateRun& run, bool reverse, std::vector<Keyed>& items) {
  absl::Status status;
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    if (!status.ok()) return false;
    const absl::StatusOr<bool> less = reverse ? IsLess(run, b.key, a.key) : IsLess(run, a.key, b.key);
    status.Update(less.status());
    return less.ok() && *less;
  });
  return status;
}

Result ItemsOf(TemplateRun& run, std::vector<Keyed> keyed) {
  std::vector<TemplateValue> items;
  items.reserve(keyed.size());
  for (Keyed& entry : keyed) items.push_back(std::move(entry.item));
  return run.NewList(std::move(items));
}

Result SortFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"reverse", "case_sensitive", "attribute"});
  if (!bound.ok()) return bound.status();
  absl::StatusOr<std::vector<Keyed>> items = KeyedItems(run, self, (*bound)[1], (*bound)[2]);
  if (!items.ok()) return items.status();
  absl::Status status = Sort(run, (*bound)[0] != nullptr && IsTrue(*(*bound)[0]), *items);
  if (!status.ok()) return status;
  return ItemsOf(run, *std::move(items));
}

Result DictSortFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"case_sensitive", "by", "reverse"});
  if (!bound.ok()) return bound.status();
  if (self.AsDict() == nullptr) return absl::InternalError(absl::StrCat("expected dict, got ", Describe(self)));
  const absl::StatusOr<const TemplateString*> by = TextArgument((*bound)[1]);
  if (!by.ok()) return by.status();
  const bool by_value = *by != nullptr && (*by)->text() == "value";
  if (*by != nullptr && !by_value && (*by)->text() != "key") return absl::InternalError("expected key or value");
  std::vector<Keyed> items;
  for (const auto& [key, value] : self.AsDict()->entries) {
    if (absl::Status status = run.Charge(2 * TemplateRun::kStepsPerText); !status.ok()) return status;
    const bool cased = (*bound)[0] != nullptr && IsTrue(*(*bound)[0]);
    Result compared = KeyOf(run, by_value ? value : key, cased, nullptr);
    if (!compared.ok()) return compared;
    items.push_back({*std::move(compared), run.NewList({key, value}, /*is_tuple=*/true)});
  }
  absl::Status status = Sort(run, (*bound)[2] != nullptr && IsTrue(*(*bound)[2]), items);
  if (!status.ok()) return status;
  return ItemsOf(run, std::move(items));
}

Result UniqueFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"case_sensitive", "attribute"});
  if (!bound.ok()) return bound.status();
  absl::StatusOr<std::vector<Keyed>> all = KeyedItems(run, self, (*bound)[0], (*bound)[1]);
  if (!all.ok()) return all.status();
  std::vector<Keyed> items;
  for (Keyed& entry : *all) {
    bool known = false;
    for (size_t i = 0; i < items.size() && !known; ++i) {
      const absl::StatusOr<bool> equal = AreEqual(run, items[i].key, entry.key);
      if (!equal.ok()) return equal.status();
      known = *equal;
    }
    if (!known) items.push_back(std::move(entry));
  }
  return ItemsOf(run, std::move(items));
}

template <bool largest>
Result ExtremeFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"case_sensitive", "attribute"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<std::vector<Keyed>> items = KeyedItems(run, self, (*bound)[0], (*bound)[1]);
  if (!items.ok()) return items.status();
  if (items->empty()) return TemplateValue();
  const Keyed* best = &items->front();
  for (const Keyed& entry : *items) {
    const absl::StatusOr<bool> better = largest ? IsLess(run, best->key, entry.key) : IsLess(run, entry.key, best->key);
    if (!better.ok()) return better.status();
    if (*better) best = &entry;
  }
  return best->item;
}

Result SumFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  const auto bound = arguments.Bind({"attribute", "start"});
  if (!bound.ok()) return bound.status();
  const absl::StatusOr<std::vector<Keyed>> items = KeyedItems(run, self, nullptr, nullptr);
  if (!items.ok()) return items.status();
  Result sum = (*bound)[1] != nullptr ? *(*bound)[1] : TemplateValue(int64_t{0});
  for (const Keyed& entry : *items) {
    Result value = IsGiven((*bound)[0]) ? GetPath(run, entry.item, *(*bound)[0]) : Result(entry.item);
    if (!value.ok()) return value;
    // Python's sum() refuses strings.
    if (value->AsText() != nullptr) return absl::InternalError("cannot sum strings");
    sum = Calculate(run, ArithmeticOperator::kAdd, *sum, *value);
    if (!sum.ok()) return sum;
  }
  return sum;
}

Result ReverseFilter(TemplateRun& run, const TemplateValue& self, const TemplateArguments& arguments) {
  if (const auto bound = arguments.Bind({}); !bound.ok()) return bound.status();
  if (self.AsText() != nullptr) return GetSlice(run, self, TemplateNone{}, TemplateNone{}, int64_t{-1});
  const absl::StatusOr<TemplateList*> list = run.Iterate(self);
  if (!list.ok()) return list.status();
  const size_t size = (*list)->items.size();
  if (absl::Status status = run.Charge(size * TemplateRun::kStepsPerItem); !status.ok()) return status;
  return run.NewList({(*list)->items.rbegin(), (*list)->items.rend()});
}

}  // namespace

TemplateOperation FindTemplateListFilter(absl::string_view name) {
  constexpr std::pair<absl::string_view, TemplateOperation> kFilters[] = {
      {"sort", SortFilter},          {"dictsort", DictSortFilter}, {"unique", UniqueFilter},
      {"min", ExtremeFilter<false>}, {"max", ExtremeFilter<true>}, {"sum", SumFilter},
      {"reverse", ReverseFilter},
  };
  for (const auto& [known, filter] : kFilters) {
    if (known == name) return filter;
  }
  return nullptr;
}

}  // namespace predictd
