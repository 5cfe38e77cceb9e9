#include "client/predictctl/npy.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/data_type.h"
#include "client/predictctl/npy_header.h"
#include "client/shape.h"
#include "client/tensor_builder.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

constexpr absl::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;

struct TypeName {
  v1::DataType type;
  absl::string_view descr;
};

constexpr TypeName kTypes[] = {
    {v1::DATA_TYPE_BOOL, "|b1"},   {v1::DATA_TYPE_UINT8, "|u1"},  {v1::DATA_TYPE_UINT16, "<u2"},
    {v1::DATA_TYPE_UINT32, "<u4"}, {v1::DATA_TYPE_UINT64, "<u8"}, {v1::DATA_TYPE_INT8, "|i1"},
    {v1::DATA_TYPE_INT16, "<i2"},  {v1::DATA_TYPE_INT32, "<i4"},  {v1::DATA_TYPE_INT64, "<i8"},
    {v1::DATA_TYPE_FP16, "<f2"},   {v1::DATA_TYPE_FP32, "<f4"},   {v1::DATA_TYPE_FP64, "<f8"},
};

absl::StatusOr<v1::DataType> TypeOf(const std::string& descr) {
  for (const TypeName& known : kTypes) {
    if (known.descr == descr) return known.type;
  }
  // A byte has no byte order, but some writers give it one.
  if (descr.size() == 3 && descr[0] == '<' && descr[2] == '1') return TypeOf("|" + descr.substr(1));
  if (absl::StartsWith(descr, ">")) {
    return absl::InvalidArgumentError(absl::StrCat(
        "big-endian arrays ('", descr, "') are not supported: save array.astype('<", descr.substr(1), "')"));
  }
  if (absl::StrContains(descr, "O")) {
    return absl::InvalidArgumentError("arrays of Python objects are not supported: give the array a number's dtype");
  }
  if (descr.size() > 1 && absl::StrContains("SU", descr.substr(1, 1))) {
    return absl::InvalidArgumentError(
        absl::StrCat("dtype '", descr, R"(' is not supported: give strings as JSON, ["a", "b"])"));
  }
  if (descr == "<V2" || descr == "|V2") {
    return absl::InvalidArgumentError(absl::StrCat(
        "dtype '", descr, "' is not supported: save a bfloat16 array as float32, and send it with --cast"));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("dtype '", descr, "' is not supported: save an array of bool, integers or floats"));
}

// The header's text and what follows it.
struct Parts {
  absl::string_view header;
  absl::string_view elements;
};

absl::StatusOr<Parts> SplitFile(absl::string_view file) {
  if (!LooksLikeNpy(file)) return absl::InvalidArgumentError("not an .npy file: it does not start with \\x93NUMPY");
  file.remove_prefix(kMagic.size());
  if (file.size() < 2) return absl::InvalidArgumentError("truncated .npy file: it ends before its header");
  const int version = static_cast<unsigned char>(file[0]);
  if (version < 1 || version > 3) {
    return absl::InvalidArgumentError(absl::StrCat(".npy format version ", version, " is not supported"));
  }
  file.remove_prefix(2);
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  if (file.size() < length_bytes) return absl::InvalidArgumentError("truncated .npy file: it ends before its header");
  std::uint32_t length = 0;
  std::memcpy(&length, file.data(), length_bytes);
  file.remove_prefix(length_bytes);
  if (file.size() < length) return absl::InvalidArgumentError("truncated .npy file: it ends inside its header");
  return Parts{file.substr(0, length), file.substr(length)};
}

}  // namespace

bool LooksLikeNpy(absl::string_view file) {
  return absl::StartsWith(file, kMagic);
}

absl::StatusOr<v1::Tensor> ParseNpy(absl::string_view file) {
  const absl::StatusOr<Parts> parts = SplitFile(file);
  if (!parts.ok()) return parts.status();
  const absl::StatusOr<NpyHeader> header = ParseNpyHeader(parts->header);
  if (!header.ok()) return header.status();
  const absl::StatusOr<v1::DataType> type = TypeOf(header->descr);
  if (!type.ok()) return type.status();
  if (header->fortran_order && header->shape.size() > 1) {
    return absl::InvalidArgumentError("arrays in Fortran order are not supported: save numpy.ascontiguousarray(array)");
  }
  const absl::StatusOr<std::int64_t> bytes = ByteCount(header->shape, static_cast<std::int64_t>(DataTypeWidth(*type)));
  if (!bytes.ok()) return bytes.status();
  if (parts->elements.size() != static_cast<std::size_t>(*bytes)) {
    const bool truncated = parts->elements.size() < static_cast<std::size_t>(*bytes);
    return absl::InvalidArgumentError(absl::StrCat(truncated ? "truncated .npy file" : "more than one array", ": ",
                                                   DataTypeName(*type), ShapeText(header->shape), " has ", *bytes,
                                                   " bytes, but the file holds ", parts->elements.size()));
  }
  return MakeRawTensor("", *type, header->shape, std::string(parts->elements));
}

absl::StatusOr<std::string> FormatNpy(v1::Tensor tensor) {
  if (tensor.dtype() == v1::DATA_TYPE_BF16) {
    if (absl::Status encoded = EncodeTyped(tensor); !encoded.ok()) return encoded;
    tensor.set_dtype(v1::DATA_TYPE_FP32);
  }
  if (absl::Status encoded = EncodeRaw(tensor); !encoded.ok()) return encoded;
  for (const TypeName& known : kTypes) {
    if (known.type != tensor.dtype()) continue;
    std::string header = absl::StrCat("{'descr': '", known.descr, "', 'fortran_order': False, 'shape': (",
                                      absl::StrJoin(tensor.shape(), ", "), tensor.shape_size() == 1 ? ",), }" : "), }");
    const std::size_t preamble = kMagic.size() + 4;
    header.append(kAlignment - (preamble + header.size() + 1) % kAlignment, ' ').push_back('\n');
    if (header.size() > 0xffff)
      return absl::InvalidArgumentError("the tensor has too many dimensions for an .npy file");
    const char length[] = {static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
    return absl::StrCat(kMagic, absl::string_view("\x01\x00", 2), absl::string_view(length, 2), header, tensor.raw());
  }
  return absl::InvalidArgumentError(absl::StrCat("output '", tensor.name(), "' is ", DataTypeName(tensor.dtype()),
                                                 ": an .npy file cannot hold that"));
}

}  // namespace predictd
