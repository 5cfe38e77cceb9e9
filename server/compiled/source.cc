#include "server/compiled/source.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace predictd {
namespace {

// Limits on what a wrong file may claim; no tensor of ours has more dimensions.
constexpr size_t kMaxRank = 64;
constexpr size_t kMaxTensors = 4096;

bool IsIdentifierChar(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '_';
}

// Takes the name or number at the beginning of the text.
absl::string_view ConsumeWord(absl::string_view& text) {
  size_t end = 0;
  while (end < text.size() && IsIdentifierChar(text[end])) ++end;
  const absl::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

bool ConsumeIndex(absl::string_view& text, size_t limit, size_t& index) {
  return absl::ConsumePrefix(&text, "[") && absl::SimpleAtoi(ConsumeWord(text), &index) && index < limit &&
         absl::ConsumePrefix(&text, "]");
}

// Reads `prefix[3].name = "x";`.
bool ReadName(absl::string_view line, absl::string_view prefix, size_t& index, std::string& name) {
  if (!absl::ConsumePrefix(&line, prefix) || !ConsumeIndex(line, kMaxTensors, index)) return false;
  if (!absl::ConsumePrefix(&line, ".name = \"")) return false;
  name = std::string(line.substr(0, line.find('"')));
  return true;
}

// The parts of "a, f(b, c), d" between the commas that are outside of brackets.
std::vector<absl::string_view> SplitList(absl::string_view list) {
  std::vector<absl::string_view> parts;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= list.size(); ++i) {
    if (i < list.size() && list[i] == '(') ++depth;
    if (i < list.size() && list[i] == ')') --depth;
    if (i < list.size() && (list[i] != ',' || depth > 0)) continue;
    const absl::string_view part = absl::StripAsciiWhitespace(list.substr(begin, i - begin));
    if (!part.empty()) parts.push_back(part);
    begin = i + 1;
  }
  return parts;
}

constexpr absl::string_view kPointer = ".data_ptr())";
constexpr absl::string_view kOperator = "aoti_torch_";
constexpr absl::string_view kWrapper = "wrap_with_raii_handle_if_needed(";
constexpr absl::string_view kView = "reinterpret_tensor_wrapper(";

// Adds the names that kernels may write to: those in `(float*)(NAME.data_ptr())`, a pointer without const.
void AddWrittenByKernels(absl::string_view line, std::vector<absl::string_view>& names) {
  for (size_t at = line.find(kPointer); at != absl::string_view::npos; at = line.find(kPointer, at + 1)) {
    size_t begin = at;
    while (begin > 0 && IsIdentifierChar(line[begin - 1])) --begin;
    const absl::string_view before = line.substr(0, begin);
    const size_t cast = before.rfind('(', before.size() < 2 ? 0 : before.size() - 2);
    if (!absl::EndsWith(before, "*)(") || cast == absl::string_view::npos) continue;
    if (!absl::StartsWith(before.substr(cast + 1), "const ")) names.push_back(line.substr(begin, at - begin));
  }
}

// Adds the first arguments of operators whose names say that they write to them.
void AddWrittenByOperators(absl::string_view line, std::vector<absl::string_view>& names) {
  for (size_t at = line.find(kOperator); at != absl::string_view::npos; at = line.find(kOperator, at + 1)) {
    absl::string_view rest = line.substr(at);
    const absl::string_view function = ConsumeWord(rest);
    if (!absl::EndsWith(function, "_") && !absl::EndsWith(function, "_out")) continue;
    if (!absl::ConsumePrefix(&rest, "(")) continue;
    absl::ConsumePrefix(&rest, kWrapper);
    absl::ConsumePrefix(&rest, kView);
    names.push_back(ConsumeWord(rest));
  }
}

class SourceReader {
 public:
  absl::StatusOr<CompiledSource> Read(absl::string_view text) {
    // Names come before the lines that use them.
    for (const absl::string_view line : absl::StrSplit(text, '\n')) ReadLine(absl::StripAsciiWhitespace(line));
    if (!absl::StrContains(text, "AOTInductorModel::run_impl")) return SaysNothing();
    source_.convolves = absl::StrContains(text, "aoti_torch_cpu_convolution(");
    bool says_sizes = false;
    for (const CompiledInput& input : source_.inputs) {
      if (input.name.empty() || input.dtype.empty()) {
        return SaysNothing();
      }
      says_sizes = says_sizes || asserted_.contains(input.name);
    }
    for (CompiledInput& input : source_.inputs) {
      input.used = !says_sizes || asserted_.contains(input.name) || viewed_.contains(input.name);
      for (size_t i = 0; i < input.extents.size(); ++i) Complete(input, i);
    }
    return std::move(source_);
  }

 private:
  static absl::Status SaysNothing() {
    return absl::FailedPreconditionError(
        "the package does not say what its inputs must be: compile it with the PyTorch whose LibTorch this server "
        "uses");
  }

  void ReadLine(absl::string_view line) {
    size_t index = 0;
    std::string name;
    if (ReadName(line, "inputs_info_", index, name)) {
      source_.inputs.resize(std::max(source_.inputs.size(), index + 1));
      by_name_[name] = index;
      source_.inputs[index].name = std::move(name);
    } else if (ReadName(line, "constants_info_", index, name)) {
      constants_.insert(std::move(name));
    } else if (absl::StartsWith(line, "int32_t ")) {
      ReadDType(line);
    } else if (absl::StartsWith(line, "int64_t ")) {
      ReadSymbol(line);
    } else if (absl::StartsWith(line, "if (")) {
      ReadCheck(line);
    } else {
      ReadCall(line);
    }
    ReadAssertion(line);
    ReadOutput(line);
  }

  // Reads
  //   output_handles[0] = buf2.release();
  //   aoti_torch_clone(total, &output_handles[1]);
  void ReadOutput(absl::string_view line) {
    constexpr absl::string_view kOutput = "output_handles[";
    const size_t at = line.find(kOutput);
    if (at == absl::string_view::npos) return;
    line.remove_prefix(at + kOutput.size() - 1);
    size_t index = 0;
    if (ConsumeIndex(line, kMaxTensors, index)) source_.outputs.insert(index);
  }

  CompiledInput* Find(absl::string_view name) {
    const auto found = by_name_.find(std::string(name));
    return found == by_name_.end() ? nullptr : &source_.inputs[found->second];
  }

  // Reads int32_t arg0_1_expected_dtype = aoti_torch_dtype_float32();
  void ReadDType(absl::string_view line) {
    absl::ConsumePrefix(&line, "int32_t ");
    absl::string_view name = ConsumeWord(line);
    if (!absl::ConsumeSuffix(&name, "_expected_dtype") || !absl::ConsumePrefix(&line, " = aoti_torch_dtype_")) return;
    if (CompiledInput* input = Find(name)) input->dtype = std::string(ConsumeWord(line));
  }

  // Reads int64_t s77 = arg0_1_size[0];
  void ReadSymbol(absl::string_view line) {
    absl::ConsumePrefix(&line, "int64_t ");
    const std::string symbol(ConsumeWord(line));
    if (!absl::ConsumePrefix(&line, " = ")) return;
    absl::string_view name = ConsumeWord(line);
    size_t dimension = 0;
    if (!absl::ConsumeSuffix(&name, "_size") || !ConsumeIndex(line, kMaxRank, dimension) || line != ";") return;
    if (Find(name) != nullptr) symbols_[{std::string(name), dimension}] = symbol;
  }

  // Reads
  //   if (4 != arg0_1_size[1]) {
  //   if (arg0_1_size[0] < 2) {
  //   if (arg0_1_size[0] > 64) {
  //   if (1 != arg0_1_stride[1]) {
  void ReadCheck(absl::string_view line) {
    absl::ConsumePrefix(&line, "if (");
    absl::string_view first = ConsumeWord(line);
    int64_t number = 0;
    size_t dimension = 0;
    if (absl::SimpleAtoi(first, &number) && absl::ConsumePrefix(&line, " != ")) {
      absl::string_view name = ConsumeWord(line);
      const bool stride = absl::ConsumeSuffix(&name, "_stride");
      if ((!stride && !absl::ConsumeSuffix(&name, "_size")) || !ConsumeIndex(line, kMaxRank, dimension)) return;
      CompiledInput* input = Find(name);
      if (input == nullptr) return;
      if (stride) {
        SetStride(*input, dimension, SizeExpression::Parse(first));
      } else {
        ExtentOf(*input, dimension).fixed = number;
      }
      return;
    }
    absl::string_view name = first;
    if (!absl::ConsumeSuffix(&name, "_size") || !ConsumeIndex(line, kMaxRank, dimension)) return;
    CompiledInput* input = Find(name);
    if (input == nullptr) return;
    const bool least = absl::ConsumePrefix(&line, " < ");
    if ((!least && !absl::ConsumePrefix(&line, " > ")) || !absl::SimpleAtoi(ConsumeWord(line), &number)) return;
    CompiledExtent& extent = ExtentOf(*input, dimension);
    (least ? extent.least : extent.most) = number;
  }

  // Reads ... assert_size_stride(arg0_1, {s77, 4L}, {4L, 1L}, "input"); ...
  void ReadAssertion(absl::string_view line) {
    size_t at = line.find("assert_size_stride(");
    if (at == absl::string_view::npos) return;
    line.remove_prefix(line.find('(', at) + 1);
    const absl::string_view name = ConsumeWord(line);
    CompiledInput* input = Find(name);
    if (input == nullptr || asserted_.contains(std::string(name)) || !absl::ConsumePrefix(&line, ", {")) return;
    const std::vector<absl::string_view> sizes = SplitList(line.substr(0, line.find('}')));
    at = line.find("}, {");
    if (at == absl::string_view::npos || !absl::StrContains(line, "}, \"input\")")) return;
    line.remove_prefix(at + 4);
    const std::vector<absl::string_view> strides = SplitList(line.substr(0, line.find('}')));
    if (sizes.size() > kMaxRank || strides.size() != sizes.size()) return;
    asserted_[std::string(name)] = sizes.size();
    for (size_t i = 0; i < sizes.size(); ++i) {
      ExtentOf(*input, i).size = SizeExpression::Parse(sizes[i]);
      SetStride(*input, i, SizeExpression::Parse(strides[i]));
    }
  }

  void ReadCall(absl::string_view line) {
    ReadView(line);
    std::vector<absl::string_view> names;
    AddWrittenByKernels(line, names);
    AddWrittenByOperators(line, names);
    for (const absl::string_view name : names) {
      const auto view = views_.find(std::string(name));
      MarkWritten(view == views_.end() ? std::string(name) : view->second);
    }
  }

  void MarkWritten(const std::string& name) {
    if (CompiledInput* input = Find(name)) input->written = true;
    std::vector<std::string>& written = source_.written_constants;
    if (constants_.contains(name) && std::find(written.begin(), written.end(), name) == written.end()) {
      written.push_back(name);
    }
  }

  // Reads auto var_0 = wrap_with_raii_handle_if_needed(reinterpret_tensor_wrapper(arg0_1, ...
  void ReadView(absl::string_view line) {
    const size_t at = line.find(kView);
    if (at == absl::string_view::npos) return;
    absl::string_view rest = line.substr(at + kView.size());
    const std::string name(ConsumeWord(rest));
    if (Find(name) != nullptr) viewed_.insert(name);
    if (!absl::ConsumePrefix(&line, "auto ")) return;
    const std::string view(ConsumeWord(line));
    const auto of_view = views_.find(name);
    views_[view] = of_view == views_.end() ? name : of_view->second;
  }

  static CompiledExtent& ExtentOf(CompiledInput& input, size_t dimension) {
    input.extents.resize(std::max(input.extents.size(), dimension + 1));
    return input.extents[dimension];
  }

  static void SetStride(CompiledInput& input, size_t dimension, std::optional<SizeExpression> stride) {
    input.strides.resize(std::max(input.strides.size(), dimension + 1));
    input.strides[dimension] = std::move(stride);
  }

  void Complete(CompiledInput& input, size_t dimension) const {
    CompiledExtent& extent = input.extents[dimension];
    if (extent.size.has_value()) {
      if (const auto constant = extent.size->constant()) extent.fixed = *constant;
      return;
    }
    if (extent.fixed.has_value()) {
      extent.size = SizeExpression::Parse(absl::StrCat(*extent.fixed));
    } else if (const auto symbol = symbols_.find({input.name, dimension}); symbol != symbols_.end()) {
      extent.size = SizeExpression::Parse(symbol->second);
    }
  }

  CompiledSource source_;
  std::map<std::string, size_t> by_name_;
  std::set<std::string> constants_;
  std::map<std::pair<std::string, size_t>, std::string> symbols_;
  // The inputs whose shapes are asserted, with their ranks.
  std::map<std::string, size_t> asserted_;
  // Inputs that have views. A view's extents are given by other inputs, and nothing asserts that this input has them.
  std::set<std::string> viewed_;
  // The tensor that each view belongs to.
  std::map<std::string, std::string> views_;
};

}  // namespace

absl::StatusOr<CompiledSource> ReadCompiledSource(absl::string_view text) {
  return SourceReader().Read(text);
}

}  // namespace predictd
