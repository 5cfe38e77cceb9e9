#include "client/predictctl/print_tensor.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/predictctl/element_reader.h"
#include "client/predictctl/utf8.h"
#include "client/shape.h"

namespace predictd {
namespace {

constexpr std::int64_t kLeftOut = -1;

// NumPy and LibTorch have no tensors of more dimensions; a server may send any number, which would end the recursion
// over them in a stack overflow.
constexpr int kMaxPrintedRank = 64;

// Whether leaving out its middle makes a dimension shorter.
bool IsLong(std::int64_t extent, const PrintStyle& style) {
  return extent > 2 * style.edge + 1;
}

// Prints one tensor, by recursion over its dimensions.
class Printer {
 public:
  Printer(const v1::Tensor& tensor, const ElementReader& elements, const PrintStyle& style,
          const std::vector<std::int64_t>& marks)
      : shape_(tensor.shape().begin(), tensor.shape().end()),
        elements_(elements),
        style_(style),
        marks_(marks),
        abbreviated_(IsAbbreviated(tensor.shape(), style)) {
    Measure(0, 0);
  }

  std::string Print() {
    PrintDimension(0, 0);
    return text_;
  }

 private:
  // The positions of a dimension that are shown, with kLeftOut in the gap.
  std::vector<std::int64_t> Shown(std::int64_t extent) const {
    const bool gap = abbreviated_ && IsLong(extent, style_);
    std::vector<std::int64_t> positions;
    for (std::int64_t i = 0; i < extent; ++i) {
      if (gap && i == style_.edge) {
        positions.push_back(kLeftOut);
        i = extent - style_.edge;
      }
      positions.push_back(i);
    }
    return positions;
  }

  // Finds the width of the widest element that is shown.
  void Measure(std::size_t dimension, std::int64_t offset) {
    if (dimension == shape_.size()) {
      width_ = std::max(width_, ColumnsOf(elements_.Text(offset, style_.abbreviate_above)));
      return;
    }
    for (const std::int64_t position : Shown(shape_[dimension])) {
      if (position != kLeftOut) Measure(dimension + 1, offset * shape_[dimension] + position);
    }
  }

  void PrintDimension(std::size_t dimension, std::int64_t offset) {
    if (dimension == shape_.size()) {
      const std::string text = elements_.Text(offset, style_.abbreviate_above);
      text_.append(width_ - ColumnsOf(text), ' ').append(text);
      return;
    }
    const bool innermost = dimension + 1 == shape_.size();
    text_.push_back('[');
    bool first = true;
    for (const std::int64_t position : Shown(shape_[dimension])) {
      if (!first) Separate(dimension, innermost);
      first = false;
      if (position == kLeftOut) {
        text_.append("...");
        continue;
      }
      PrintDimension(dimension + 1, offset * shape_[dimension] + position);
      if (dimension == 0 && shape_.size() == 2 && !marks_.empty()) {
        absl::StrAppend(&text_, " -> ", marks_[static_cast<std::size_t>(position)]);
      }
    }
    text_.push_back(']');
  }

  // Separates an element or an inner array from the next one.
  void Separate(std::size_t dimension, bool innermost) {
    const std::size_t line_start = text_.rfind('\n') + 1;  // npos + 1 is 0.
    text_.push_back(',');
    if (innermost && text_.size() - line_start + width_ + 2 <= style_.line_width) {
      text_.push_back(' ');
      return;
    }
    text_.append(innermost ? 1 : shape_.size() - dimension - 1, '\n').append(dimension + 1, ' ');
  }

  const std::vector<std::int64_t> shape_;
  const ElementReader& elements_;
  const PrintStyle& style_;
  const std::vector<std::int64_t>& marks_;
  const bool abbreviated_;
  std::size_t width_ = 0;
  std::string text_;
};

}  // namespace

bool IsAbbreviated(absl::Span<const std::int64_t> shape, const PrintStyle& style) {
  return ElementCount(shape).value_or(0) > style.abbreviate_above &&
         std::any_of(shape.begin(), shape.end(), [&style](std::int64_t extent) { return IsLong(extent, style); });
}

absl::StatusOr<std::string> TensorText(const v1::Tensor& tensor, const PrintStyle& style,
                                       const std::vector<std::int64_t>& marks) {
  const absl::StatusOr<ElementReader> elements = ElementReader::Create(tensor);
  if (!elements.ok()) return elements.status();
  const absl::StatusOr<std::int64_t> count = ElementCount(tensor.shape());
  if (!count.ok()) return count.status();
  if (*count == 0) return "[]";
  if (tensor.shape_size() > kMaxPrintedRank) {
    return absl::InvalidArgumentError(
        absl::StrCat("output '", tensor.name(), "' has ", tensor.shape_size(), " dimensions: too many to print"));
  }
  return Printer(tensor, *elements, style, marks).Print();
}

}  // namespace predictd
