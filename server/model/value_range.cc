#include "server/model/value_range.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "absl/strings/str_cat.h"
#include "server/model/element_types.h"

namespace predictd {
namespace {

// The order of FP16 without a conversion, which costs 20 ns where the processor has no instruction for it.
struct Fp16Order {
  using Stored = uint16_t;
  static int32_t Read(Stored bits) {
    const int32_t magnitude = bits & 0x7fff;
    // NaN comes above infinity.
    return magnitude > 0x7c00 || (bits & 0x8000) == 0 ? magnitude : -magnitude;
  }
};

// Calls `visit` with the element type; returns `otherwise` for types that have no order.
template <class Result, class Visitor>
Result VisitOrdered(DType dtype, Result otherwise, Visitor visit) {
  return dtype == DType::kBool ? otherwise : VisitElementType(dtype, otherwise, visit);
}

template <class Reader>
auto Load(const std::byte* from) {
  typename Reader::Stored stored;
  // Elements of a message may have any alignment.
  std::memcpy(&stored, from, sizeof(stored));
  return Reader::Read(stored);
}

template <class Value>
bool Inside(Value value, Value least, Value most) {
  return value >= least && value <= most;
}

// Whether any of N elements is outside. N is a constant and the loop has no early exit, so that the compiler can
// vectorise it.
template <class Reader, size_t N, class Value>
bool AnyOutside(const std::byte* from, Value least, Value most) {
  uint8_t outside = 0;
  for (size_t i = 0; i < N; ++i) {
    const Value value = Load<Reader>(from + i * sizeof(typename Reader::Stored));
    outside |= static_cast<uint8_t>(!(value >= least)) | static_cast<uint8_t>(!(value <= most));
  }
  return outside != 0;
}

}  // namespace

bool HasRanges(DType dtype) {
  return VisitOrdered(dtype, false, [](auto) { return true; });
}

bool IsRange(DType dtype, const ValueRange& range) {
  return InRange(dtype, range, range.least);
}

bool InRange(DType dtype, const ValueRange& range, const ElementBytes& element) {
  return VisitOrdered(dtype, false, [&](auto reader) {
    using Reader = decltype(reader);
    return Inside(Load<Reader>(element.data()), Load<Reader>(range.least.data()), Load<Reader>(range.most.data()));
  });
}

std::optional<int64_t> FindOutside(const Tensor& tensor, const ValueRange& range) {
  return VisitOrdered(tensor.dtype(), std::optional<int64_t>(), [&](auto reader) -> std::optional<int64_t> {
    using Reader = std::conditional_t<std::is_same_v<decltype(reader), Fp16Element>, Fp16Order, decltype(reader)>;
    constexpr int64_t kWidth = sizeof(typename Reader::Stored);
    constexpr int64_t kBlock = 256;
    const auto least = Load<Reader>(range.least.data());
    const auto most = Load<Reader>(range.most.data());
    int64_t i = 0;
    while (i + kBlock <= tensor.elements() && !AnyOutside<Reader, kBlock>(tensor.data() + i * kWidth, least, most)) {
      i += kBlock;
    }
    for (; i < tensor.elements(); ++i) {
      if (!Inside(Load<Reader>(tensor.data() + i * kWidth), least, most)) return i;
    }
    return std::nullopt;
  });
}

std::string ElementName(DType dtype, const std::byte* element) {
  return VisitOrdered(dtype, std::string(), [element](auto reader) {
    const auto value = Load<decltype(reader)>(element);
    // Formatted as a number and not as a character.
    if constexpr (sizeof(value) == 1) return absl::StrCat(static_cast<int>(value));
    return absl::StrCat(value);
  });
}

}  // namespace predictd
