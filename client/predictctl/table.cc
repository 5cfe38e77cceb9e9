#include "client/predictctl/table.h"

#include <algorithm>
#include <cstddef>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "client/predictctl/utf8.h"

namespace predictd {
namespace {

constexpr std::size_t kGap = 2;

// Cells are not cut below this width, and column names are not cut below it either.
constexpr std::size_t kNarrowest = 12;
constexpr absl::string_view kEllipsis = "...";

// Reduces the widths until a line with all columns fits into `width`, if that is possible.
void Shrink(std::size_t width, std::vector<std::size_t>& widths) {
  if (widths.size() < 2) return;
  std::size_t line = kGap * (widths.size() - 1);
  for (const std::size_t column : widths) line += column;
  while (line > width) {
    const auto widest = std::max_element(widths.begin() + 1, widths.end());
    if (*widest <= kNarrowest) return;
    --*widest;
    --line;
  }
}

// As many characters as fit.
std::string Cut(const std::string& cell, std::size_t width) {
  if (ColumnsOf(cell) <= width) return cell;
  std::size_t end = 0;
  for (std::size_t kept = kEllipsis.size(); kept < width; ++kept) {
    do ++end;
    while (end < cell.size() && (cell[end] & 0xc0) == 0x80);
  }
  return absl::StrCat(cell.substr(0, end), kEllipsis);
}

}  // namespace

std::string Table::Text(const std::string& indent, std::size_t width) const {
  std::vector<std::size_t> widths(rows_.front().size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], ColumnsOf(row[i]));
  }
  if (width != std::string::npos) Shrink(width - std::min(width, indent.size()), widths);
  std::string text;
  for (const auto& row : rows_) {
    std::string line = indent;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string cell = Cut(row[i], widths[i]);
      line.append(cell).append(widths[i] - ColumnsOf(cell) + kGap, ' ');
    }
    absl::StripTrailingAsciiWhitespace(&line);
    absl::StrAppend(&text, line, "\n");
  }
  return text;
}

}  // namespace predictd
