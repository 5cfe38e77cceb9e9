// Text in columns.
#ifndef PREDICTD_CLIENT_PREDICTCTL_TABLE_H_
#define PREDICTD_CLIENT_PREDICTCTL_TABLE_H_

#include <string>
#include <vector>

namespace predictd {

// Collects rows of cells, and aligns them to the left when all are known.
class Table {
 public:
  explicit Table(std::vector<std::string> header) : rows_{std::move(header)} {}

  // As many cells as the header has.
  void AddRow(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }

  // Lines that start with `indent` and end with a newline.
  std::string Text(const std::string& indent = "") const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace predictd

#endif  // PREDICTD_CLIENT_PREDICTCTL_TABLE_H_
