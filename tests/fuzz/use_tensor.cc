#include "tests/fuzz/use_tensor.h"

#include <cstdint>

#include "client/data_type.h"
#include "client/predictctl/arg_max.h"
#include "client/predictctl/cast.h"
#include "client/predictctl/npy.h"
#include "client/predictctl/print_tensor.h"
#include "client/predictctl/row_range.h"
#include "client/tensor_encoding.h"
#include "tests/fuzz/require.h"

namespace predictd {
namespace {

// Whether the typed encoding keeps every bit: a NaN of 16 bits comes back as another one, and 7 as true.
bool IsExact(v1::DataType type) {
  return type != v1::DATA_TYPE_FP16 && type != v1::DATA_TYPE_BF16 && type != v1::DATA_TYPE_BOOL;
}

void Encode(const v1::Tensor& tensor) {
  v1::Tensor copy = tensor;
  Require(EncodeTyped(copy).ok(), "a raw tensor can be encoded as values");
  Require(EncodeRaw(copy).ok(), "and back");
  if (IsExact(tensor.dtype())) Require(copy.raw() == tensor.raw(), "without a change");
}

void Save(const v1::Tensor& tensor) {
  if (tensor.dtype() == v1::DATA_TYPE_BYTES || tensor.dtype() == v1::DATA_TYPE_BF16) return;
  const absl::StatusOr<std::string> file = FormatNpy(tensor);
  Require(file.ok(), "a tensor can be saved");
  const absl::StatusOr<v1::Tensor> read = ParseNpy(*file);
  Require(read.ok(), "what was saved can be read");
  Require(read->raw() == tensor.raw() && read->dtype() == tensor.dtype(), "and is what was saved");
}

void Cut(const v1::Tensor& tensor) {
  if (tensor.shape().empty()) return;
  const std::int64_t half = tensor.shape(0) / 2;
  const absl::StatusOr<v1::Tensor> first = RowsOf({0, half}, tensor);
  const absl::StatusOr<v1::Tensor> second = RowsOf({half, std::nullopt}, tensor);
  Require(first.ok() && second.ok(), "a tensor can be cut");
  Require(first->raw() + second->raw() == tensor.raw(), "and the parts are all of it");
  Require(CheckRaw(*first).ok() && CheckRaw(*second).ok(), "the parts are well formed");
}

}  // namespace

void UseTensor(const v1::Tensor& tensor) {
  Require(CheckRaw(tensor).ok(), "what is read is well formed");
  Encode(tensor);
  Save(tensor);
  Cut(tensor);
  for (int type = v1::DataType_MIN; type <= v1::DataType_MAX; ++type) {
    const absl::StatusOr<v1::Tensor> cast = CastTensor(tensor, static_cast<v1::DataType>(type));
    if (cast.ok()) Require(CheckRaw(*cast).ok(), "what is cast is well formed");
  }
  ArgMaxOfRows(tensor).IgnoreError();
  Require(TensorText(tensor, {}, {}).ok(), "a tensor can be printed");
}

}  // namespace predictd
