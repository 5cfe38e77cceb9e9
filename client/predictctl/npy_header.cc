#include "client/predictctl/npy_header.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace predictd {
namespace {

// NumPy has no arrays of more dimensions.
constexpr std::size_t kMaxRank = 64;

// Reads a Python literal from left to right. Each Read... returns false if something else comes.
class LiteralReader {
 public:
  explicit LiteralReader(absl::string_view text) : rest_(text) {}

  bool AtEnd() {
    SkipBlanks();
    return rest_.empty();
  }

  bool Take(absl::string_view symbol) {
    SkipBlanks();
    return absl::ConsumePrefix(&rest_, symbol);
  }

  bool ReadString(std::string& value) {
    SkipBlanks();
    if (rest_.empty() || (rest_.front() != '\'' && rest_.front() != '"')) return false;
    const std::size_t end = rest_.find(rest_.front(), 1);
    if (end == absl::string_view::npos) return false;
    value = std::string(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return true;
  }

  bool ReadBool(bool& value) {
    value = Take("True");
    return value || Take("False");
  }

  // Reads a tuple of extents: "()", "(3,)", "(3, 4)". Python 2 wrote "3L".
  bool ReadShape(std::vector<std::int64_t>& shape) {
    if (!Take("(")) return false;
    while (!Take(")")) {
      std::int64_t extent = 0;
      if (shape.size() == kMaxRank || !ReadInteger(extent)) return false;
      shape.push_back(extent);
      Take("L");
      if (Take(",")) continue;
      return Take(")");
    }
    return true;
  }

 private:
  void SkipBlanks() { rest_ = absl::StripLeadingAsciiWhitespace(rest_); }

  bool ReadInteger(std::int64_t& value) {
    SkipBlanks();
    const auto* end = std::find_if_not(rest_.begin(), rest_.end(), absl::ascii_isdigit);
    const absl::string_view digits = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(digits.size());
    return absl::SimpleAtoi(digits, &value);
  }

  absl::string_view rest_;
};

absl::Status Malformed(absl::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("malformed .npy header: ", what));
}

}  // namespace

absl::StatusOr<NpyHeader> ParseNpyHeader(absl::string_view text) {
  NpyHeader header;
  LiteralReader reader(text);
  std::vector<std::string> keys;
  if (!reader.Take("{")) return Malformed("expected '{'");
  while (!reader.Take("}")) {
    std::string key;
    if (!reader.ReadString(key) || !reader.Take(":")) return Malformed("expected a key and ':'");
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      return Malformed(absl::StrCat("'", key, "' appears twice"));
    if (key == "descr") {
      if (reader.Take("["))
        return absl::InvalidArgumentError("structured arrays are not supported: save each field alone");
      if (!reader.ReadString(header.descr)) return Malformed("'descr' is not a string");
    } else if (key == "fortran_order") {
      if (!reader.ReadBool(header.fortran_order)) return Malformed("'fortran_order' is not True or False");
    } else if (key == "shape") {
      if (!reader.ReadShape(header.shape))
        return Malformed(absl::StrCat("'shape' is not a tuple of up to ", kMaxRank, " extents"));
    } else {
      return Malformed(absl::StrCat("unknown key '", key, "'"));
    }
    keys.push_back(std::move(key));
    if (reader.Take(",")) continue;
    if (!reader.Take("}")) return Malformed("expected ',' or '}'");
    break;
  }
  if (!reader.AtEnd()) return Malformed("something follows '}'");
  if (keys.size() != 3) return Malformed("expected the keys 'descr', 'fortran_order' and 'shape'");
  return header;
}

}  // namespace predictd
