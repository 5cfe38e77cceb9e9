#include "server/torch/elements.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <stdexcept>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/element.h"
#include "server/model/element_types.h"
#include "server/torch/tensor.h"

namespace predictd {
namespace {

using c10::TypeKind;

bool IsInteger(DType dtype) {
  return dtype != DType::kBool && dtype != DType::kBytes && !IsFloat(dtype);
}

// The type below all lists.
const c10::Type& InnermostOf(const c10::Type& type) {
  return type.kind() == TypeKind::ListType ? InnermostOf(*type.containedType(0)) : type;
}

size_t DepthOf(const c10::Type& type) {
  return type.kind() == TypeKind::ListType ? 1 + DepthOf(*type.containedType(0)) : 0;
}

// The dtypes of tensors whose elements such a value can hold; nullptr for any other kind.
const char* TensorTypesFor(TypeKind kind) {
  switch (kind) {
    case TypeKind::IntType:
      return "INT8 to INT64 or UINT8 to UINT64";
    case TypeKind::FloatType:
    case TypeKind::NumberType:
      return "a type of numbers";
    case TypeKind::BoolType:
      return "BOOL";
    case TypeKind::StringType:
      return "BYTES";
    default:
      return nullptr;
  }
}

bool Holds(TypeKind kind, DType dtype) {
  switch (kind) {
    case TypeKind::IntType:
      return IsInteger(dtype);
    case TypeKind::FloatType:
    case TypeKind::NumberType:
      return IsInteger(dtype) || IsFloat(dtype);
    case TypeKind::BoolType:
      return dtype == DType::kBool;
    default:
      return dtype == DType::kBytes;
  }
}

// Reads a tensor's elements as values.
class ElementReader {
 public:
  ElementReader(const Tensor& tensor, TypeKind kind) : tensor_(tensor) {
    if (kind == TypeKind::StringType) return;
    if (kind == TypeKind::NumberType) kind = IsFloat(tensor.dtype()) ? TypeKind::FloatType : TypeKind::IntType;
    kind_ = kind;
    const c10::ScalarType scalar = kind == TypeKind::FloatType  ? at::kDouble
                                   : kind == TypeKind::BoolType ? at::kBool
                                                                : at::kLong;
    numbers_ = ViewAsTorch(tensor).to(scalar).contiguous();
  }

  // The part of the tensor from dimension `depth` on, whose first element is `first`.
  c10::IValue Read(const c10::Type& type, size_t depth, int64_t first) const {
    if (type.kind() != TypeKind::ListType) return ReadOne(first);
    const auto& element = type.containedType(0);
    // Strings of any shape form one list.
    const bool flat = kind_ == TypeKind::StringType && element->kind() == TypeKind::StringType;
    const absl::Span<const int64_t> shape = tensor_.shape();
    const int64_t extent = flat ? ElementCount(shape.subspan(depth)).value_or(0) : shape[depth];
    const int64_t step = flat ? 1 : ElementCount(shape.subspan(depth + 1)).value_or(0);
    c10::impl::GenericList list(element);
    list.reserve(extent);
    for (int64_t i = 0; i < extent; ++i) list.push_back(Read(*element, depth + 1, first + i * step));
    return list;
  }

 private:
  c10::IValue ReadOne(int64_t i) const {
    switch (kind_) {
      case TypeKind::FloatType:
        return numbers_.const_data_ptr<double>()[i];
      case TypeKind::BoolType:
        return numbers_.const_data_ptr<bool>()[i];
      case TypeKind::IntType: {
        const int64_t value = numbers_.const_data_ptr<int64_t>()[i];
        if (tensor_.dtype() == DType::kUint64 && value < 0) {
          throw std::out_of_range("an element of type UINT64 is too large for TorchScript's int");
        }
        return value;
      }
      default:
        return tensor_.strings()[i];
    }
  }

  const Tensor& tensor_;
  TypeKind kind_ = TypeKind::StringType;
  at::Tensor numbers_;
};

// Gathers the elements of a value in C order.
class ElementWriter {
 public:
  explicit ElementWriter(DType dtype) : dtype_(dtype) {}

  absl::Status Add(const c10::IValue& value, size_t depth) {
    if (!value.isList()) return shape_.size() == depth ? AddOne(value) : Ragged();
    const c10::ArrayRef<c10::IValue> elements = value.toListRef();
    const auto extent = static_cast<int64_t>(elements.size());
    if (shape_.size() == depth) {
      if (bytes_.size() + strings_.size() > 0) return Ragged();
      shape_.push_back(extent);
    } else if (shape_[depth] != extent) {
      return Ragged();
    }
    for (const c10::IValue& element : elements) {
      if (absl::Status status = Add(element, depth + 1); !status.ok()) return status;
    }
    return absl::OkStatus();
  }

  // `spec` gives the extents below an empty list, and the rank of a single element.
  Tensor Finish(const Shape& spec) {
    const bool one = shape_.empty();
    for (size_t i = shape_.size(); i < spec.size() && (one || shape_.back() == 0); ++i) {
      shape_.push_back(one ? 1 : std::max<int64_t>(spec[i], 0));
    }
    if (dtype_ == DType::kBytes) {
      return Tensor(std::move(shape_), std::make_shared<std::vector<std::string>>(std::move(strings_)));
    }
    std::byte* fill = nullptr;
    Tensor tensor = Tensor::Allocate(dtype_, std::move(shape_), &fill);
    if (!bytes_.empty()) std::memcpy(fill, bytes_.data(), bytes_.size());
    return tensor;
  }

 private:
  static absl::Status Ragged() { return absl::InternalError("a list of lists of different lengths"); }

  absl::Status AddOne(const c10::IValue& value) {
    if (value.isString() && dtype_ == DType::kBytes) {
      strings_.push_back(value.toStringRef());
      return absl::OkStatus();
    }
    std::optional<ElementBytes> element;
    if (value.isBool() && dtype_ == DType::kBool) element = ToElement(dtype_, int64_t{value.toBool()});
    if (value.isInt() && dtype_ != DType::kBool) element = ToElement(dtype_, value.toInt());
    if (value.isDouble() && IsFloat(dtype_)) element = ToElement(dtype_, value.toDouble());
    if (!element.has_value()) {
      const std::string number = value.isInt()      ? absl::StrCat(" of ", value.toInt())
                                 : value.isDouble() ? absl::StrCat(" of ", value.toDouble())
                                                    : "";
      return absl::InternalError(absl::StrCat(value.tagKind(), number, ", not ", DTypeName(dtype_)));
    }
    bytes_.insert(bytes_.end(), element->begin(), element->begin() + static_cast<ptrdiff_t>(ByteWidth(dtype_)));
    return absl::OkStatus();
  }

  const DType dtype_;
  Shape shape_;
  std::vector<std::byte> bytes_;
  std::vector<std::string> strings_;
};

}  // namespace

bool IsOfElements(const c10::Type& type) {
  return TensorTypesFor(InnermostOf(type).kind()) != nullptr;
}

bool HoldsItself(const c10::Type& type, DType dtype) {
  const TypeKind kind = InnermostOf(type).kind();
  return Holds(kind, dtype) && (kind != TypeKind::FloatType || IsFloat(dtype));
}

std::optional<std::string> WhyNotElements(const c10::Type& type, const TensorSpec& spec) {
  const TypeKind kind = InnermostOf(type).kind();
  if (!Holds(kind, spec.dtype)) {
    return absl::StrCat("takes ", TensorTypesFor(kind), ", not ", DTypeName(spec.dtype));
  }
  const size_t depth = DepthOf(type);
  if (depth == 0) {
    const auto is_one = [](int64_t extent) { return extent == 1; };
    if (std::all_of(spec.shape.begin(), spec.shape.end(), is_one)) return std::nullopt;
    return absl::StrCat("takes one element, so shape = [] and batched = false, not ", ShapeName(spec.shape));
  }
  if (depth == spec.shape.size() || (depth == 1 && kind == TypeKind::StringType)) return std::nullopt;
  return absl::StrCat("takes a shape of ", depth, " dimensions, not ", ShapeName(spec.shape));
}

c10::IValue ToElements(const Tensor& tensor, const c10::Type& type) {
  return ElementReader(tensor, InnermostOf(type).kind()).Read(type, 0, 0);
}

absl::StatusOr<Tensor> FromElements(const c10::IValue& value, const TensorSpec& spec) {
  ElementWriter writer(spec.dtype);
  if (absl::Status status = writer.Add(value, 0); !status.ok()) return status;
  return writer.Finish(spec.shape);
}

}  // namespace predictd
