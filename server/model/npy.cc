#include "server/model/npy.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/model/half_float.h"

namespace predictd {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
// NumPy has no arrays of more dimensions.
constexpr size_t kMaxRank = 64;

// NumPy's name of a type. A byte has no byte order, but some writers give it one.
struct NpyType {
  DType dtype;
  absl::string_view name;
  absl::string_view other_name = "";
};

constexpr NpyType kTypes[] = {
    {DType::kBool, "|b1", "<b1"}, {DType::kUint8, "|u1", "<u1"}, {DType::kUint16, "<u2"}, {DType::kUint32, "<u4"},
    {DType::kUint64, "<u8"},      {DType::kInt8, "|i1", "<i1"},  {DType::kInt16, "<i2"},  {DType::kInt32, "<i4"},
    {DType::kInt64, "<i8"},       {DType::kFp16, "<f2"},         {DType::kFp32, "<f4"},   {DType::kFp64, "<f8"},
    {DType::kBf16, "<V2", "|V2"},
};

struct NpyHeader {
  std::optional<absl::string_view> descr;
  std::optional<bool> fortran_order;
  std::optional<Shape> shape;
};

// Reads a Python literal from left to right. Each function returns false if something else comes.
class Literal {
 public:
  explicit Literal(absl::string_view text) : rest_(text) {}

  bool Take(absl::string_view symbol) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    return absl::ConsumePrefix(&rest_, symbol);
  }

  bool TakeString(absl::string_view& value) {
    if (!Take("'")) return false;
    const size_t end = rest_.find('\'');
    if (end == absl::string_view::npos) return false;
    value = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool TakeBool(bool& value) {
    value = Take("True");
    return value || Take("False");
  }

  // "()", "(3,)" or "(3, 4)".
  bool TakeShape(Shape& shape) {
    if (!Take("(")) return false;
    while (!Take(")")) {
      int64_t extent = 0;
      if (shape.size() == kMaxRank || !TakeExtent(extent)) return false;
      shape.push_back(extent);
      if (!Take(",")) return Take(")");
    }
    return true;
  }

  bool AtEnd() { return absl::StripLeadingAsciiWhitespace(rest_).empty(); }

 private:
  bool TakeExtent(int64_t& extent) {
    rest_ = absl::StripLeadingAsciiWhitespace(rest_);
    const auto* const end = std::find_if_not(rest_.begin(), rest_.end(), absl::ascii_isdigit);
    const absl::string_view digits = rest_.substr(0, static_cast<size_t>(end - rest_.begin()));
    rest_.remove_prefix(digits.size());
    return absl::SimpleAtoi(digits, &extent);
  }

  absl::string_view rest_;
};

// A value that comes twice is none.
bool TakeValue(absl::string_view key, Literal& literal, NpyHeader& header) {
  if (key == "descr") return !header.descr.has_value() && literal.TakeString(header.descr.emplace());
  if (key == "fortran_order") {
    return !header.fortran_order.has_value() && literal.TakeBool(header.fortran_order.emplace());
  }
  return key == "shape" && !header.shape.has_value() && literal.TakeShape(header.shape.emplace());
}

// False if it is not the header of a plain array.
bool ParseHeader(absl::string_view text, NpyHeader& header) {
  Literal literal(text);
  if (!literal.Take("{")) return false;
  while (!literal.Take("}")) {
    absl::string_view key;
    if (!literal.TakeString(key) || !literal.Take(":") || !TakeValue(key, literal, header)) return false;
    if (literal.Take(",")) continue;
    if (!literal.Take("}")) return false;
    break;
  }
  return literal.AtEnd() && header.descr.has_value() && header.fortran_order.has_value() && header.shape.has_value();
}

// Takes the first `count` bytes, a little-endian number, off the file.
std::optional<size_t> TakeNumber(absl::string_view& file, size_t count) {
  if (file.size() < count) return std::nullopt;
  size_t number = 0;
  std::memcpy(&number, file.data(), count);
  file.remove_prefix(count);
  return number;
}

// Takes everything before the elements off the file.
absl::StatusOr<NpyHeader> TakeHeader(absl::string_view& file) {
  if (!absl::ConsumePrefix(&file, kMagic)) {
    return absl::InvalidArgumentError("it is no .npy file: it does not start with \\x93NUMPY");
  }
  const std::optional<size_t> major = TakeNumber(file, 1);
  const std::optional<size_t> minor = TakeNumber(file, 1);
  if (major.value_or(1) < 1 || major.value_or(1) > 3) {
    return absl::InvalidArgumentError(absl::StrCat("its format version ", *major, " is not 1, 2 or 3"));
  }
  const std::optional<size_t> length = minor.has_value() ? TakeNumber(file, *major == 1 ? 2 : 4) : std::nullopt;
  if (!length.has_value() || *length > file.size()) {
    return absl::InvalidArgumentError("it is cut off: it ends before its elements begin");
  }
  NpyHeader header;
  if (!ParseHeader(file.substr(0, *length), header)) {
    return absl::InvalidArgumentError(
        "its header is not that of a plain array: {'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}");
  }
  file.remove_prefix(*length);
  return header;
}

absl::Status CheckType(absl::string_view descr, DType dtype) {
  for (const NpyType& type : kTypes) {
    if (type.dtype != dtype) continue;
    if (descr == type.name || descr == type.other_name) return absl::OkStatus();
    const absl::string_view name = dtype == DType::kBf16 ? "<f4" : type.name;
    return absl::InvalidArgumentError(absl::StrCat("expected ", DTypeName(dtype), ", which NumPy names '", name,
                                                   "', got '", descr, "': save array.astype('", name, "')"));
  }
  return absl::InvalidArgumentError(absl::StrCat("an .npy file cannot hold ", DTypeName(dtype)));
}

}  // namespace

absl::StatusOr<Tensor> ReadNpy(absl::string_view file, DType dtype) {
  const absl::StatusOr<NpyHeader> header = TakeHeader(file);
  if (!header.ok()) return header.status();
  const bool rounds = dtype == DType::kBf16 && *header->descr == "<f4";
  const DType stored = rounds ? DType::kFp32 : dtype;
  if (absl::Status status = CheckType(*header->descr, stored); !status.ok()) return status;
  if (*header->fortran_order && header->shape->size() > 1) {
    return absl::InvalidArgumentError("it is in Fortran's order: save numpy.ascontiguousarray(array)");
  }
  const std::optional<int64_t> elements = ElementCount(*header->shape);
  if (!elements.has_value() || static_cast<uint64_t>(*elements) > file.size() ||
      static_cast<uint64_t>(*elements) * ByteWidth(stored) != file.size()) {
    return absl::InvalidArgumentError(absl::StrCat("it holds ", file.size(), " bytes, which are not those of ",
                                                   DTypeName(stored), " ", ShapeName(*header->shape)));
  }
  std::byte* fill = nullptr;
  Tensor array = Tensor::Allocate(dtype, *header->shape, &fill);
  if (rounds) {
    for (int64_t i = 0; i < *elements; ++i) {
      float value = 0;
      std::memcpy(&value, file.data() + static_cast<size_t>(i) * sizeof(value), sizeof(value));
      const uint16_t bits = FloatToBf16(value);
      std::memcpy(fill + static_cast<size_t>(i) * sizeof(bits), &bits, sizeof(bits));
    }
    return array;
  }
  if (!file.empty()) std::memcpy(fill, file.data(), file.size());
  const auto is_truth = [](char byte) { return byte == 0 || byte == 1; };
  if (dtype == DType::kBool && !std::all_of(file.begin(), file.end(), is_truth)) {
    return absl::InvalidArgumentError("a BOOL in it is neither 0 nor 1");
  }
  return array;
}

}  // namespace predictd
