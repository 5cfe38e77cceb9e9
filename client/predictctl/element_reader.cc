#include "client/predictctl/element_reader.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/data_type.h"
#include "client/predictctl/terminal_text.h"
#include "client/predictctl/utf8.h"
#include "client/tensor_encoding.h"

namespace predictd {
namespace {

// The beginning of `bytes`, cut between two characters.
absl::string_view WholeCharacters(absl::string_view bytes, std::int64_t longest) {
  if (static_cast<std::int64_t>(bytes.size()) <= longest) return bytes;
  auto end = static_cast<std::size_t>(longest);
  for (int i = 0; i < 3 && end > 0 && (bytes[end] & 0xc0) == 0x80; ++i) --end;
  return bytes.substr(0, end);
}

template <typename T>
std::string Format(T value) {
  if constexpr (std::is_same_v<T, bool>) {
    return value ? "true" : "false";
  } else if constexpr (kIsHalfWidth<T>) {
    return absl::StrFormat("%.4g", ToFloat(value));
  } else if constexpr (std::is_floating_point_v<T>) {
    return absl::StrFormat("%.5g", value);
  } else {
    return absl::StrCat(value);
  }
}

// Quoted like a C string, except that characters that are not control characters stay as they are.
std::string Quoted(absl::string_view bytes, std::int64_t longest) {
  const absl::string_view shown = WholeCharacters(bytes, longest);
  std::string text = "\"";
  for (std::size_t at = 0; at < shown.size();) {
    const std::size_t size = std::max<std::size_t>(CharacterBytes(shown.substr(at)), 1);
    const absl::string_view character = shown.substr(at, size);
    if (size > 1) {
      text.append(TerminalText(character));
    } else {
      text.append(absl::CHexEscape(character));
    }
    at += size;
  }
  text.push_back('"');
  if (shown.size() < bytes.size()) absl::StrAppend(&text, " and ", bytes.size() - shown.size(), " bytes");
  return text;
}

}  // namespace

absl::StatusOr<ElementReader> ElementReader::Create(const v1::Tensor& tensor) {
  if (absl::Status check = CheckRaw(tensor); !check.ok()) return check;
  ElementReader reader(tensor);
  if (tensor.dtype() == v1::DATA_TYPE_BYTES) {
    absl::StatusOr<std::vector<absl::string_view>> elements = SplitBytesElements(tensor.raw());
    if (!elements.ok()) return elements.status();
    reader.bytes_ = *std::move(elements);
  }
  return reader;
}

std::string ElementReader::Text(std::int64_t index, std::int64_t longest) const {
  const auto at = static_cast<std::size_t>(index);
  std::string text;
  const bool fixed = VisitFixedWidth(tensor_->dtype(), [&]<typename T>(std::type_identity<T>) {
    text = Format(LoadElement<T>(tensor_->raw().data() + at * sizeof(T)));
  });
  return fixed ? text : Quoted(bytes_[at], longest);
}

}  // namespace predictd
