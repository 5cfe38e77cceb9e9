// Text in columns.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TABLE_H_
#define PREDICTD_CLIENT_PREDICTCTL_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace predictd {

// Collects rows of cells, and aligns them to the left when all are known.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}

  // The row must have as many cells as the header.
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  // Lines that start with `indent` and end with a newline. So that lines have at most `width` columns, cells are cut:
  // those of the widest columns first, none of the first column, and none below a few letters.
  std::string Text(const std::string& indent = "", std::size_t width = std::string::npos) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TABLE_H_
