#include "client/predictctl/print_outputs.h"

#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/data_type.h"
#include "client/predictctl/arg_max.h"
#include "client/shape.h"
#include "client/tensor_encoding.h"

namespace predictd {

namespace {

std::string MarksText(const std::vector<std::int64_t>& marks, const PrintStyle& style) {
  const auto count = static_cast<std::int64_t>(marks.size());
  if (!IsAbbreviated({count}, style)) return absl::StrJoin(marks, " ");
  const auto edge = static_cast<std::ptrdiff_t>(style.edge);
  return absl::StrCat(absl::StrJoin(marks.begin(), marks.begin() + edge, " "), " ... ",
                      absl::StrJoin(marks.end() - edge, marks.end(), " "));
}

}  // namespace

absl::StatusOr<std::vector<v1::Tensor>> RawOutputs(const google::protobuf::RepeatedPtrField<v1::Tensor>& outputs) {
  std::vector<v1::Tensor> raw(outputs.begin(), outputs.end());
  for (v1::Tensor& tensor : raw) {
    if (absl::Status encoded = EncodeRaw(tensor); !encoded.ok()) {
      return absl::InvalidArgumentError(absl::StrCat("the answer is malformed: ", encoded.message()));
    }
  }
  return raw;
}

PrintStyle StyleOf(const PredictArguments& arguments) {
  PrintStyle style;
  if (arguments.full) style.abbreviate_above = std::numeric_limits<std::int64_t>::max();
  return style;
}

absl::Status PrintOutputs(const std::vector<v1::Tensor>& outputs, const PrintStyle& style, bool argmax,
                          std::ostream& out) {
  for (const v1::Tensor& tensor : outputs) {
    absl::StatusOr<std::vector<std::int64_t>> largest = std::vector<std::int64_t>();
    if (argmax) largest = ArgMaxOfRows(tensor);
    const std::vector<std::int64_t> marks = largest.ok() ? *largest : std::vector<std::int64_t>();
    const absl::StatusOr<std::string> text = TensorText(tensor, style, marks);
    if (!text.ok()) return text.status();
    out << tensor.name() << " " << DataTypeName(tensor.dtype()) << ShapeText(tensor.shape())
        << (IsAbbreviated(tensor.shape(), style) ? ", of which --full prints all\n" : "\n") << *text << "\n";
    if (!largest.ok()) {
      out << "argmax: " << largest.status().message() << "\n";
    } else if (argmax && tensor.shape_size() != 2) {
      out << "argmax: " << MarksText(marks, style) << "\n";
    }
  }
  return absl::OkStatus();
}

nlohmann::ordered_json ArgMaxJson(const std::vector<v1::Tensor>& outputs) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  for (const v1::Tensor& tensor : outputs) {
    const absl::StatusOr<std::vector<std::int64_t>> largest = ArgMaxOfRows(tensor);
    if (largest.ok()) json[tensor.name()] = *largest;
  }
  return json;
}

}  // namespace predictd
