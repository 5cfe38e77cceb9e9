#include "server/engine/warm_up_inputs.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "server/model/element_types.h"

namespace predictd {
namespace {

// No more elements of an input are drawn at random; then they are repeated.
constexpr int64_t kMaxDrawn = int64_t{1} << 16;
// Stands for more elements than memory has room for.
constexpr int64_t kMany = int64_t{1} << 60;

// Elements from the range, the same each time.
std::vector<ElementBytes> Draw(DType dtype, const ValueRange& range, int64_t count, size_t seed) {
  std::mt19937_64 random(seed);
  std::vector<ElementBytes> drawn(static_cast<size_t>(std::clamp<int64_t>(count, 1, kMaxDrawn)));
  return VisitElementType(dtype, drawn, [&](auto type) {
    using Type = decltype(type);
    const auto number = [](const ElementBytes& bytes) {
      typename Type::Stored stored;
      std::memcpy(&stored, bytes.data(), sizeof(stored));
      return Type::Read(stored);
    };
    const auto least = number(range.least);
    const auto most = number(range.most);
    for (ElementBytes& element : drawn) {
      auto value = least;
      if constexpr (std::is_floating_point_v<typename Type::Number>) {
        // The difference of the ends may be infinite.
        const double part = std::uniform_real_distribution<double>()(random);
        const double between = static_cast<double>(least) * (1 - part) + static_cast<double>(most) * part;
        value = std::clamp(static_cast<typename Type::Number>(between), least, most);
      } else if constexpr (std::is_signed_v<typename Type::Number>) {
        value = static_cast<typename Type::Number>(std::uniform_int_distribution<int64_t>(least, most)(random));
      } else {
        value = static_cast<typename Type::Number>(std::uniform_int_distribution<uint64_t>(least, most)(random));
      }
      const typename Type::Stored stored = Type::Write(value).value_or(typename Type::Stored{});
      std::memcpy(element.data(), &stored, sizeof(stored));
    }
    return drawn;
  });
}

// Fills a tensor of that shape with an array's rows, and with what is along its padded dimension, again and again; all
// other extents are equal.
void Repeat(const Tensor& array, const Shape& shape, size_t padded, size_t first, std::byte* fill) {
  const Shape& from = array.shape();
  size_t lines = 1;
  for (size_t d = 1; d < padded; ++d) lines *= static_cast<size_t>(from[d]);
  // A number has no rows, and without a padded dimension a row is repeated as a whole.
  const size_t rows = from.empty() ? 1 : static_cast<size_t>(from[0]);
  const size_t length = padded == 0 ? 1 : static_cast<size_t>(from[padded]);
  const size_t filled = padded == 0 ? 1 : static_cast<size_t>(shape[padded]);
  const size_t bytes = array.byte_size() / (rows * lines * length);
  for (size_t row = 0; row < (shape.empty() ? 1 : static_cast<size_t>(shape[0])); ++row) {
    for (size_t line = 0; line < lines; ++line) {
      const std::byte* const begin = array.data() + ((row + first) % rows * lines + line) * length * bytes;
      for (size_t at = 0; at < filled; ++at, fill += bytes) std::memcpy(fill, begin + at % length * bytes, bytes);
    }
  }
}

}  // namespace

size_t WarmUpInputs::samples() const {
  return std::max<size_t>(1, signature_.warmup_samples.size());
}

const WarmUpInput& WarmUpInputs::Of(size_t sample, size_t input) const {
  return signature_.warmup_samples.empty() ? signature_.inputs[input].warmup : signature_.warmup_samples[sample][input];
}

Shape WarmUpInputs::ShapeOf(size_t sample, size_t input, int64_t rows, absl::Span<const int64_t> lengths) const {
  const WarmUpInput& from = Of(sample, input);
  Shape shape = from.shape.empty() ? signature_.inputs[input].shape : from.shape;
  if (const PaddedInput* padded = signature_.padding.Find(input)) shape[padded->dimension] = lengths[padded->length];
  std::replace(shape.begin(), shape.end(), int64_t{-1}, open_extent_);
  if (from.shape.empty()) signature_.limits.Raise(input, absl::MakeSpan(shape));
  if (signature_.batched) shape[0] = rows;
  return shape;
}

int64_t WarmUpInputs::Elements(size_t sample, int64_t rows, absl::Span<const int64_t> lengths) const {
  int64_t elements = 0;
  for (size_t i = 0; i < signature_.inputs.size(); ++i) {
    elements += std::min(kMany, ElementCount(ShapeOf(sample, i, rows, lengths)).value_or(kMany));
    elements = std::min(elements, kMany);
  }
  return std::max<int64_t>(elements, 1);
}

bool WarmUpInputs::HasOpenExtent(absl::Span<const int64_t> lengths) const {
  const WarmUpInputs open(signature_, /*open_extent=*/-1);
  for (size_t sample = 0; sample < samples(); ++sample) {
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      const Shape shape = open.ShapeOf(sample, i, 1, lengths);
      if (std::count(shape.begin(), shape.end(), -1) > 0) return true;
    }
  }
  return false;
}

Tensor WarmUpInputs::Make(size_t sample, size_t input, int64_t rows, absl::Span<const int64_t> lengths,
                          size_t first) const {
  const TensorSpec& spec = signature_.inputs[input];
  const WarmUpInput& from = Of(sample, input);
  Shape shape = ShapeOf(sample, input, rows, lengths);
  if (spec.dtype == DType::kBytes) {
    auto strings = std::make_shared<std::vector<std::string>>(ElementCount(shape).value_or(0));
    for (size_t i = 0; i < strings->size() && !from.strings.empty(); ++i) {
      (*strings)[i] = from.strings[(i + first) % from.strings.size()];
    }
    return Tensor(std::move(shape), std::move(strings));
  }
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(spec.dtype, std::move(shape), &fill);
  if (from.array.has_value()) {
    const PaddedInput* const padded = signature_.padding.Find(input);
    Repeat(*from.array, tensor.shape(), padded == nullptr ? 0 : padded->dimension, signature_.batched ? first : 0,
           fill);
    return tensor;
  }
  std::vector<ElementBytes> elements = from.elements;
  if (from.random.has_value()) elements = Draw(spec.dtype, *from.random, tensor.elements(), input + first);
  if (elements.empty() && spec.range.has_value() && !InRange(spec.dtype, *spec.range, ElementBytes{})) {
    elements.push_back(spec.range->least);
  }
  if (elements.empty()) {
    std::fill_n(fill, tensor.byte_size(), std::byte{0});
    return tensor;
  }
  const size_t width = ByteWidth(spec.dtype);
  for (size_t i = 0; i * width < tensor.byte_size(); ++i) {
    std::memcpy(fill + i * width, elements[(i + first) % elements.size()].data(), width);
  }
  return tensor;
}

}  // namespace predictd
