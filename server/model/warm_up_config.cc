#include "server/model/warm_up_config.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/files/regular_file.h"
#include "server/model/element_config.h"
#include "server/model/model_config.h"
#include "server/model/npy.h"
#include "server/text/closest_name.h"

namespace predictd {
namespace {

namespace fs = std::filesystem;

// More than a message can hold.
constexpr int64_t kMaxElements = int64_t{1} << 31;
constexpr size_t kMaxSamples = 16;
// Of all files of a model: they stay in memory as long as the version is served, for its configuration is needed again.
constexpr int64_t kMaxFileBytes = int64_t{64} << 20;

// What is read for an input.
struct Wanted {
  const TensorSpec& spec;
  bool batched;
  // The dimension that is padded, if one is, and the longest that it may be.
  std::optional<size_t> padded;
  int64_t longest = 0;
};

// Whether the dimension stays open until a batch is made.
bool StaysOpen(const Wanted& wanted, size_t dimension) {
  return wanted.spec.shape[dimension] == -1 && ((wanted.batched && dimension == 0) || dimension == wanted.padded);
}

void ReadShape(TableReader& reader, absl::string_view key, const Wanted& wanted, WarmUpInput& input) {
  const toml::node* const node = reader.Find(key);
  if (node == nullptr) return;
  const std::string expected = absl::StrCat(
      "the shape with extents for -1", wanted.batched ? ", but for the first" : "",
      wanted.padded.has_value() ? " and the one that is padded" : "", ", of at most ", kMaxElements, " elements");
  if (!node->is_array()) return reader.Fail(key, expected);
  for (const toml::node& extent : *node->as_array()) {
    input.shape.push_back(extent.value_exact<int64_t>().value_or(0));
  }
  const Shape& shape = wanted.spec.shape;
  bool good = input.shape.size() == shape.size();
  for (size_t d = 0; good && d < shape.size(); ++d) {
    const bool stays = shape[d] != -1 || StaysOpen(wanted, d);
    good = stays ? input.shape[d] == shape[d] : input.shape[d] >= 1;
  }
  Shape smallest = input.shape;
  std::replace(smallest.begin(), smallest.end(), int64_t{-1}, int64_t{1});
  if (!good || ElementCount(smallest).value_or(kMaxElements + 1) > kMaxElements) reader.Fail(key, expected);
}

void ReadValues(TableReader& reader, absl::string_view key, const TensorSpec& spec, WarmUpInput& input) {
  const toml::node* const values = reader.Find(key);
  if (values == nullptr) return;
  const std::string expected = absl::StrCat("a list of values that ", DTypeName(spec.dtype), " can hold",
                                            spec.range.has_value() ? ", in range" : "");
  if (!values->is_array() || values->as_array()->empty()) return reader.Fail(key, expected);
  for (const toml::node& value : *values->as_array()) {
    if (spec.dtype == DType::kBytes) {
      const std::optional<std::string> string = value.value_exact<std::string>();
      if (!string.has_value()) return reader.Fail(key, expected);
      input.strings.push_back(*string);
      continue;
    }
    const std::optional<ElementBytes> element = ReadElement(value, spec.dtype);
    if (!element.has_value() || (spec.range.has_value() && !InRange(spec.dtype, *spec.range, *element))) {
      return reader.Fail(key, expected);
    }
    input.elements.push_back(*element);
  }
}

void ReadRandom(TableReader& reader, const TensorSpec& spec, WarmUpInput& input) {
  const toml::node* const node = reader.Find("random");
  if (node == nullptr) return;
  if (!HasRanges(spec.dtype)) {
    return reader.Fail("random", absl::StrCat("none, as ", DTypeName(spec.dtype), " has no order: give values"));
  }
  const std::optional<ValueRange> read = ReadRange(*node, spec.dtype);
  const auto is_finite = [](const toml::node& end) { return std::isfinite(end.value<double>().value_or(0)); };
  const auto is_in_range = [&spec](const ElementBytes& end) {
    return !spec.range.has_value() || InRange(spec.dtype, *spec.range, end);
  };
  if (!read.has_value() || !is_in_range(read->least) || !is_in_range(read->most) ||
      !std::all_of(node->as_array()->begin(), node->as_array()->end(), is_finite)) {
    return reader.Fail("random", absl::StrCat("[least, most], two numbers that ", DTypeName(spec.dtype),
                                              " can hold, the first no more than the second",
                                              spec.range.has_value() ? ", in range" : ""));
  }
  input.random = read;
}

bool IsBelow(const fs::path& file, const fs::path& folder) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first == folder.end();
}

// The content of a file of the model's samples. Takes its size from what is `left` for files.
absl::StatusOr<std::string> ReadSampleFile(const fs::path& folder, const std::string& name, int64_t& left) {
  const fs::path file = folder / kWarmUpFolder / name;
  std::error_code error;
  const fs::path found = fs::canonical(file, error);
  if (!error && !IsBelow(found, fs::canonical(folder, error))) {
    return absl::InvalidArgumentError("it is a link that leads out of the model's folder");
  }
  absl::StatusOr<std::string> content = ReadRegularFile(file, left);
  if (!content.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(content.status().message(),
                     CheckRegularFile(file).ok() ? " (the files of all samples have 64 MiB at most)" : ""));
  }
  left -= static_cast<int64_t>(content->size());
  return content;
}

// Whether the array is what a request may send; the message says what was expected.
absl::Status CheckArray(const Wanted& wanted, const Tensor& array) {
  const TensorSpec& spec = wanted.spec;
  const Shape& shape = array.shape();
  bool good = shape.size() == spec.shape.size();
  for (size_t d = 0; good && d < shape.size(); ++d) {
    good = spec.shape[d] == -1 ? shape[d] >= 1 : shape[d] == spec.shape[d];
  }
  if (!good) {
    return absl::InvalidArgumentError(
        absl::StrCat("expected the shape ", ShapeName(spec.shape), ", got ", ShapeName(shape)));
  }
  if (wanted.padded.has_value() && shape[*wanted.padded] > wanted.longest) {
    return absl::InvalidArgumentError(absl::StrCat("dimension ", *wanted.padded, " is ", shape[*wanted.padded],
                                                   ", and the last length of pad_to ", wanted.longest));
  }
  if (!spec.range.has_value()) return absl::OkStatus();
  const std::optional<int64_t> outside = FindOutside(array, *spec.range);
  if (!outside.has_value()) return absl::OkStatus();
  const std::byte* const element = array.data() + static_cast<size_t>(*outside) * ByteWidth(spec.dtype);
  return absl::InvalidArgumentError(
      absl::StrCat("element ", *outside, " is ", ElementName(spec.dtype, element), ", which is not in range"));
}

void ReadFile(TableReader& reader, const std::string& prefix, const Wanted& wanted, const fs::path& folder,
              int64_t& left, WarmUpInput& input) {
  std::string name;
  // Such a file counts in the stamp of the model's folder.
  const auto is_name = [](const std::string& read) {
    return absl::EndsWith(read, ".npy") && !absl::StartsWith(read, ".") && !absl::StrContains(read, '/') &&
           !absl::StrContains(read, '\0');
  };
  reader.Read<std::string>(
      "file", absl::StrCat("the name of an .npy file in the folder ", kWarmUpFolder, " of the model"), name, is_name);
  if (name.empty()) return;
  if (wanted.spec.dtype == DType::kBytes) return reader.Fail("file", "none, as no .npy file has texts: give values");
  const absl::StatusOr<std::string> content = ReadSampleFile(folder, name, left);
  absl::StatusOr<Tensor> array = content.ok() ? ReadNpy(*content, wanted.spec.dtype) : content.status();
  absl::Status status = array.ok() ? CheckArray(wanted, *array) : array.status();
  if (!status.ok()) {
    return reader.Fail(
        absl::InvalidArgumentError(absl::StrCat(prefix, "file: ", kWarmUpFolder, "/", name, ": ", status.message())));
  }
  input.shape = array->shape();
  for (size_t d = 0; d < input.shape.size(); ++d) {
    if (StaysOpen(wanted, d)) input.shape[d] = -1;
  }
  input.array = *std::move(array);
}

// Reads what a sample says about an input.
absl::StatusOr<WarmUpInput> ReadInput(const toml::table& table, const std::string& prefix, const Wanted& wanted,
                                      const fs::path& folder, int64_t& left) {
  TableReader reader(table, prefix);
  WarmUpInput input;
  ReadShape(reader, "shape", wanted, input);
  ReadValues(reader, "values", wanted.spec, input);
  ReadRandom(reader, wanted.spec, input);
  std::vector<absl::string_view> keys;
  for (const absl::string_view key : {"values", "random", "file"}) {
    if (reader.Find(key) != nullptr) keys.push_back(key);
  }
  if (keys.size() > 1) reader.Fail(keys[1], absl::StrCat("none beside ", keys[0]));
  if (reader.Find("file") != nullptr && reader.Find("shape") != nullptr) {
    reader.Fail("shape", "none beside file, which has a shape");
  }
  ReadFile(reader, prefix, wanted, folder, left, input);
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  // What a sample does not say is as it is for the others.
  if (input.shape.empty()) input.shape = wanted.spec.warmup.shape;
  if (keys.empty()) {
    input.elements = wanted.spec.warmup.elements;
    input.strings = wanted.spec.warmup.strings;
  }
  return input;
}

// The index of the input of that name.
absl::StatusOr<size_t> FindInput(const Signature& signature, const std::string& key, const std::string& name) {
  std::vector<std::string> names;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    if (signature.inputs[i].name == name) return i;
    names.push_back(signature.inputs[i].name);
  }
  for (const PaddingMask& mask : signature.padding.masks) {
    if (mask.name == name) return BadKey(key, "none, as the server makes the mask");
  }
  const std::string closest = ClosestName(name, names);
  return absl::InvalidArgumentError(absl::StrCat(key, ": no input has this name",
                                                 closest.empty() ? "" : absl::StrCat(" (did you mean ", closest, "?)"),
                                                 "; the inputs are ", absl::StrJoin(names, ", ")));
}

Wanted WantedOf(const Signature& signature, size_t input) {
  Wanted wanted = {.spec = signature.inputs[input], .batched = signature.batched, .padded = std::nullopt};
  if (const PaddedInput* const padded = signature.padding.Find(input)) {
    wanted.padded = padded->dimension;
    wanted.longest = signature.padding.lengths[padded->length].buckets.back();
  }
  return wanted;
}

// Arrays of one sample must suit each other: row by row, and in the lengths that they share.
absl::Status CheckTogether(const Signature& signature, const std::string& prefix, const WarmUpSample& sample) {
  std::optional<int64_t> rows;
  std::vector<std::optional<int64_t>> lengths(signature.padding.lengths.size());
  const auto differs = [](std::optional<int64_t>& common, int64_t extent) {
    if (!common.has_value()) common = extent;
    return *common != extent;
  };
  for (size_t i = 0; i < sample.size(); ++i) {
    if (!sample[i].array.has_value()) continue;
    const Shape& shape = sample[i].array->shape();
    const std::string key = absl::StrCat(prefix, signature.inputs[i].name, ".file");
    if (signature.batched && differs(rows, shape[0]))
      return BadKey(key, "as many rows as the sample's other files have");
    const PaddedInput* const padded = signature.padding.Find(i);
    if (padded != nullptr && differs(lengths[padded->length], shape[padded->dimension])) {
      return BadKey(key, "the length of the files with which the input is padded");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<WarmUpSample> ReadSample(const toml::table& table, const std::string& prefix, const fs::path& folder,
                                        const Signature& signature, int64_t& left) {
  TableReader reader(table, prefix);
  WarmUpSample sample;
  for (const TensorSpec& spec : signature.inputs) sample.push_back(spec.warmup);
  const toml::node* const inputs = reader.Find("inputs");
  if (absl::Status status = reader.Finish(); !status.ok()) return status;
  const absl::string_view expected = "a table for each input, as in inputs.NAME = {file = \"cat.npy\"}";
  if (inputs == nullptr || !inputs->is_table() || inputs->as_table()->empty()) {
    return BadKey(absl::StrCat(prefix, "inputs"), expected);
  }
  const std::string inputs_prefix = absl::StrCat(prefix, "inputs.");
  for (const auto& [name, value] : *inputs->as_table()) {
    const std::string key = absl::StrCat(inputs_prefix, std::string(name.str()));
    const absl::StatusOr<size_t> input = FindInput(signature, key, std::string(name.str()));
    if (!input.ok()) return input.status();
    if (!value.is_table()) return BadKey(key, expected);
    absl::StatusOr<WarmUpInput> read =
        ReadInput(*value.as_table(), absl::StrCat(key, "."), WantedOf(signature, *input), folder, left);
    if (!read.ok()) return read.status();
    sample[*input] = *std::move(read);
  }
  if (absl::Status status = CheckTogether(signature, inputs_prefix, sample); !status.ok()) return status;
  return sample;
}

}  // namespace

void ReadWarmUpKeys(TableReader& reader, bool batched, std::optional<size_t> padded, TensorSpec& spec) {
  const Wanted wanted = {.spec = spec, .batched = batched, .padded = padded};
  ReadShape(reader, "warmup_shape", wanted, spec.warmup);
  ReadValues(reader, "warmup_values", spec, spec.warmup);
}

absl::Status ReadWarmUpSamples(const toml::node* node, const fs::path& folder, Signature& signature) {
  if (node == nullptr) return absl::OkStatus();
  const std::string expected = absl::StrCat("1 to ", kMaxSamples, " [[warmup_samples]] tables");
  const toml::array* const tables = node->as_array();
  if (tables == nullptr || tables->empty() || tables->size() > kMaxSamples) return BadKey("warmup_samples", expected);
  int64_t left = kMaxFileBytes;
  for (const toml::node& table : *tables) {
    if (!table.is_table()) return BadKey("warmup_samples", expected);
    absl::StatusOr<WarmUpSample> sample =
        ReadSample(*table.as_table(), absl::StrCat("warmup_samples[", signature.warmup_samples.size(), "]."), folder,
                   signature, left);
    if (!sample.ok()) return sample.status();
    signature.warmup_samples.push_back(*std::move(sample));
  }
  return absl::OkStatus();
}

}  // namespace predictd
