#include "server/model/signature_config.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/files/table_reader.h"
#include "server/model/element_config.h"
#include "server/model/warm_up_config.h"

namespace predictd {
namespace {

constexpr int64_t kMaxElements = int64_t{1} << 31;
constexpr size_t kMaxBuckets = 64;

enum class Direction { kInput, kOutput };

// One table: the tensor and its padding.
struct TensorTable {
  // "inputs[0]."
  std::string prefix;
  TensorSpec spec;
  // Empty if there is no such key.
  std::vector<int64_t> pad_to;
  std::string pad_like;
  std::string mask_of;
  std::string unpad;
  ElementBytes pad_value{};
};

void ReadShape(TableReader& reader, bool batched, Shape& shape) {
  constexpr absl::string_view kExpected = "a list of extents, each -1 (any) or at least 1";
  const toml::node* node = reader.Find("shape");
  if (node == nullptr || !node->is_array()) return reader.Fail("shape", kExpected);
  for (const toml::node& extent : *node->as_array()) {
    const std::optional<int64_t> value = extent.value_exact<int64_t>();
    if (!value.has_value() || (*value < 1 && *value != -1)) return reader.Fail("shape", kExpected);
    shape.push_back(*value);
  }
  // Open dimensions count as 1, the least that a request can have.
  Shape smallest = shape;
  std::replace(smallest.begin(), smallest.end(), int64_t{-1}, int64_t{1});
  if (ElementCount(smallest).value_or(kMaxElements + 1) > kMaxElements) {
    reader.Fail("shape", absl::StrCat("at most ", kMaxElements, " elements, which is more than a message can hold"));
  }
  if (batched && (shape.empty() || shape[0] != -1)) {
    reader.Fail("shape", "-1 first, as the model is batched (or set batched = false)");
  }
}

// The index of the open dimension, if there is exactly one beside the rows.
std::optional<size_t> OpenDimension(const Shape& shape) {
  if (shape.empty() || std::count(shape.begin() + 1, shape.end(), -1) != 1) return std::nullopt;
  return std::find(shape.begin() + 1, shape.end(), -1) - shape.begin();
}

constexpr absl::string_view kPaddedRow = "at most 2147483648 elements in a row of the last length";

bool HoldsPaddedRow(Shape shape, int64_t length) {
  if (const std::optional<size_t> open = OpenDimension(shape)) shape[*open] = length;
  std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
  return ElementCount(shape).value_or(kMaxElements + 1) <= kMaxElements;
}

void ReadBuckets(TableReader& reader, const TensorSpec& spec, std::vector<int64_t>& buckets) {
  const std::string expected =
      absl::StrCat("a list of 1 to ", kMaxBuckets, " lengths, each at least 1 and more than the one before");
  const toml::node* node = reader.Find("pad_to");
  if (node == nullptr) return;
  if (!node->is_array() || node->as_array()->empty() || node->as_array()->size() > kMaxBuckets) {
    return reader.Fail("pad_to", expected);
  }
  for (const toml::node& entry : *node->as_array()) {
    const std::optional<int64_t> value = entry.value_exact<int64_t>();
    if (!value.has_value() || *value < (buckets.empty() ? 1 : buckets.back() + 1)) {
      return reader.Fail("pad_to", expected);
    }
    buckets.push_back(*value);
  }
  if (!HoldsPaddedRow(spec.shape, buckets.back())) reader.Fail("pad_to", kPaddedRow);
}

void ReadPadValue(TableReader& reader, const TensorTable& table, ElementBytes& element) {
  const toml::node* node = reader.Find("pad_value");
  if (node == nullptr) return;
  if (table.pad_to.empty() && table.pad_like.empty()) {
    return reader.Fail("pad_value", "none, as the input is not padded (pad_to or pad_like)");
  }
  const DType dtype = table.spec.dtype;
  const std::optional<ElementBytes> read = ReadElement(*node, dtype);
  if (!read.has_value()) return reader.Fail("pad_value", absl::StrCat("a value that ", DTypeName(dtype), " can hold"));
  element = *read;
}

// Reads what an input may contain, apart from its shape.
void ReadContents(TableReader& reader, bool batched, TensorSpec& spec) {
  reader.Read<bool>("allow_empty", "true or false", spec.allow_empty);
  const auto extents = absl::MakeConstSpan(spec.shape).subspan(batched && !spec.shape.empty() ? 1 : 0);
  if (spec.allow_empty && std::count(extents.begin(), extents.end(), -1) == 0) {
    reader.Fail("allow_empty",
                batched ? "false, as no dimension but the rows is open" : "false, as no dimension is open");
  }
  const toml::node* node = reader.Find("range");
  if (node == nullptr) return;
  if (!HasRanges(spec.dtype))
    return reader.Fail("range", absl::StrCat("none, as ", DTypeName(spec.dtype), " has no order"));
  spec.range = ReadRange(*node, spec.dtype);
  if (!spec.range.has_value()) {
    reader.Fail("range", absl::StrCat("[least, most], two numbers that ", DTypeName(spec.dtype),
                                      " can hold, the first no more than the second"));
  }
}

// Reads the keys about padding, as far as they can be checked without the other tables.
void ReadPadding(TableReader& reader, Direction direction, bool batched, TensorTable& table) {
  constexpr absl::string_view kName = "the name of an input with pad_to";
  const auto is_name = [](const std::string& name) { return !name.empty(); };
  if (direction == Direction::kInput) {
    ReadBuckets(reader, table.spec, table.pad_to);
    reader.Read<std::string>("pad_like", kName, table.pad_like, is_name);
    reader.Read<std::string>("mask_of", kName, table.mask_of, is_name);
    ReadPadValue(reader, table, table.pad_value);
    const bool padded = !table.pad_to.empty() || !table.pad_like.empty();
    if (padded && table.spec.range.has_value() && !InRange(table.spec.dtype, *table.spec.range, table.pad_value)) {
      reader.Fail("pad_value", "a value in range");
    }
  } else {
    reader.Read<std::string>("unpad", kName, table.unpad, is_name);
  }
  const char* key = !table.pad_to.empty()     ? "pad_to"
                    : !table.pad_like.empty() ? "pad_like"
                    : !table.mask_of.empty()  ? "mask_of"
                    : !table.unpad.empty()    ? "unpad"
                                              : nullptr;
  if (key == nullptr) return;
  const bool is_mask = !table.mask_of.empty();
  if (!batched) reader.Fail(key, "none, as batched = false");
  if (table.spec.dtype == DType::kBytes) reader.Fail(key, "a type other than BYTES, which cannot be padded");
  if (!OpenDimension(table.spec.shape).has_value()) {
    reader.Fail(key, "exactly one -1 in shape after the first, which is what is padded");
  }
  if (is_mask && (table.spec.range.has_value() || table.spec.allow_empty)) {
    reader.Fail(key, "no range and no allow_empty, as nobody sends a mask");
  }
  if (table.spec.optional && (is_mask || !table.pad_to.empty())) {
    reader.Fail("optional", "false, as the lengths of requests and their masks are taken from the input");
  }
  if (is_mask && table.spec.shape != Shape{-1, -1}) reader.Fail("shape", "[-1, -1], as it is a mask");
  if ((is_mask && (!table.pad_to.empty() || !table.pad_like.empty())) ||
      (!table.pad_to.empty() && !table.pad_like.empty())) {
    reader.Fail(key, "only one of pad_to, pad_like and mask_of");
  }
}

absl::StatusOr<TensorTable> ReadTable(const toml::table& toml, std::string prefix, Direction direction, bool batched) {
  TableReader reader(toml, prefix);
  TensorTable table;
  table.prefix = std::move(prefix);
  TensorSpec& spec = table.spec;
  std::string dtype;
  reader.Read<std::string>("name", "a name", spec.name);
  reader.Read<std::string>("dtype", "a name of a type", dtype);
  if (spec.name.empty()) reader.Fail("name", "a name");
  if (const std::optional<DType> parsed = ParseDType(dtype)) {
    spec.dtype = *parsed;
  } else {
    reader.Fail("dtype", "one of BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64, BYTES");
  }
  ReadShape(reader, batched, spec.shape);
  reader.Read<bool>("optional", "true or false", spec.optional);
  if (direction == Direction::kInput) ReadContents(reader, batched, spec);
  ReadPadding(reader, direction, batched, table);
  if (direction == Direction::kInput && table.mask_of.empty()) {
    const bool padded = !table.pad_to.empty() || !table.pad_like.empty();
    ReadWarmUpKeys(reader, batched, padded ? OpenDimension(spec.shape) : std::nullopt, spec);
  }
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  return table;
}

absl::StatusOr<std::vector<TensorTable>> ReadTables(const toml::node* node, const std::string& key, Direction direction,
                                                    bool batched) {
  const std::string expected = absl::StrCat("at least one [[", key, "]] table");
  if (node == nullptr || !node->is_array()) return BadKey(key, expected);
  std::vector<TensorTable> tables;
  // A method may have no arguments, if model.toml says so explicitly.
  if (node->as_array()->empty() && (direction == Direction::kOutput || batched)) return BadKey(key, expected);
  for (const toml::node& entry : *node->as_array()) {
    if (!entry.is_table()) return BadKey(key, expected);
    absl::StatusOr<TensorTable> table =
        ReadTable(*entry.as_table(), absl::StrCat(key, "[", tables.size(), "]."), direction, batched);
    if (!table.ok()) return table.status();
    for (const TensorTable& other : tables) {
      if (other.spec.name == table->spec.name) return BadKey(table->prefix + "name", "a name that no other has");
    }
    tables.push_back(*std::move(table));
  }
  return tables;
}

// The index of that input's padded length.
absl::StatusOr<size_t> FindLength(const Padding& padding, const TensorTable& table, absl::string_view key,
                                  const std::string& name) {
  for (size_t i = 0; i < padding.lengths.size(); ++i) {
    if (padding.lengths[i].name == name) return i;
  }
  return BadKey(absl::StrCat(table.prefix, key), absl::StrCat("the name of an input with pad_to, got '", name, "'"));
}

}  // namespace

absl::Status ReadTensors(const toml::node* inputs, const toml::node* outputs, Signature& signature) {
  absl::StatusOr<std::vector<TensorTable>> arguments =
      ReadTables(inputs, "inputs", Direction::kInput, signature.batched);
  if (!arguments.ok()) return arguments.status();
  const auto sent = [](const TensorTable& table) { return table.mask_of.empty() && !table.spec.optional; };
  if (signature.batched && std::none_of(arguments->begin(), arguments->end(), sent)) {
    return BadKey("inputs", "at least one that is not optional, as its rows are counted");
  }
  absl::StatusOr<std::vector<TensorTable>> results =
      ReadTables(outputs, "outputs", Direction::kOutput, signature.batched);
  if (!results.ok()) return results.status();

  Padding& padding = signature.padding;
  // The lengths come first, because a table may refer to an input that comes after it.
  for (const TensorTable& table : *arguments) {
    if (!table.mask_of.empty()) continue;
    if (!table.pad_to.empty()) {
      padding.lengths.push_back(
          {signature.inputs.size(), table.spec.name, *OpenDimension(table.spec.shape), table.pad_to});
    }
    signature.inputs.push_back(table.spec);
  }
  size_t input = 0;
  for (size_t i = 0; i < arguments->size(); ++i) {
    const TensorTable& table = (*arguments)[i];
    if (!table.mask_of.empty()) {
      absl::StatusOr<size_t> length = FindLength(padding, table, "mask_of", table.mask_of);
      if (!length.ok()) return length.status();
      padding.masks.push_back({i, *length, table.spec.dtype, table.spec.name});
      continue;
    }
    if (!table.pad_to.empty() || !table.pad_like.empty()) {
      const bool own = !table.pad_to.empty();
      absl::StatusOr<size_t> length = FindLength(padding, table, "pad_like", own ? table.spec.name : table.pad_like);
      if (!length.ok()) return length.status();
      if (!HoldsPaddedRow(table.spec.shape, padding.lengths[*length].buckets.back())) {
        return BadKey(table.prefix + "pad_like", kPaddedRow);
      }
      padding.inputs.push_back({input, *OpenDimension(table.spec.shape), *length, table.pad_value});
    }
    ++input;
  }
  for (size_t i = 0; i < results->size(); ++i) {
    const TensorTable& table = (*results)[i];
    if (!table.unpad.empty()) {
      absl::StatusOr<size_t> length = FindLength(padding, table, "unpad", table.unpad);
      if (!length.ok()) return length.status();
      padding.outputs.push_back({i, *OpenDimension(table.spec.shape), *length});
    }
    signature.outputs.push_back(table.spec);
  }
  return absl::OkStatus();
}

}  // namespace predictd
