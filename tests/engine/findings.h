#ifndef PREDICTD_TESTS_ENGINE_FINDINGS_H_
#define PREDICTD_TESTS_ENGINE_FINDINGS_H_

#include <string>
#include <utility>

namespace predictd {

// Keeps only the first thing that was wrong, since what follows from it is of no interest. Not thread-safe.
class Findings {
 public:
  void Add(std::string what) {
    if (first_.empty()) first_ = std::move(what);
  }
  void Expect(bool holds, const char* what) {
    if (!holds) Add(what);
  }

  bool empty() const { return first_.empty(); }
  const std::string& first() const { return first_; }

 private:
  std::string first_;
};

}  // namespace predictd

#endif  // PREDICTD_TESTS_ENGINE_FINDINGS_H_
