#ifndef PREDICTD_SERVER_ENGINE_MEMORY_FORECAST_H_
#define PREDICTD_SERVER_ENGINE_MEMORY_FORECAST_H_

#include <cstdint>
#include <vector>

namespace predictd {

// Predicts how much memory a batch needs from the batches that ran. Not thread-safe.
class MemoryForecast {
 public:
  // Records that a batch of `rows` rows with `row_elements` elements each needed `bytes`.
  void Record(int64_t rows, int64_t row_elements, int64_t bytes);

  // What a batch with more or larger rows will need: no less than any batch that ran. For rows of a known size the last
  // two such batches give a part for the batch and a part for each row. For rows of another size, or after a single
  // batch, bytes grow in proportion to elements. 0 if nothing ran.
  int64_t Expect(int64_t rows, int64_t row_elements) const;

 private:
  struct Batch {
    int64_t rows = 0;
    int64_t row_elements = 0;
    int64_t bytes = 0;
  };

  std::vector<Batch> batches_;
};

}  // namespace predictd

#endif  // PREDICTD_SERVER_ENGINE_MEMORY_FORECAST_H_
