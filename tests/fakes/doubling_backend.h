#ifndef PREDICTD_TESTS_FAKES_DOUBLING_BACKEND_H_
#define PREDICTD_TESTS_FAKES_DOUBLING_BACKEND_H_

#include <atomic>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "server/files/regular_file.h"
#include "server/model/backend.h"
#include "server/model/model.h"
#include "tests/fakes/tensors.h"

namespace predictd {

// How many batches all such models have run.
inline std::atomic<int> doubled_batches{0};

// What such a model fails on.
inline constexpr float kDoublingFails = -1;

// Doubles every number as often as its file says.
class DoublingModel final : public Model {
 public:
  explicit DoublingModel(int times) : factor_(static_cast<float>(1 << times)) {}

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    ++doubled_batches;
    std::vector<float> values = Values(inputs[0]);
    for (float& value : values) {
      if (value == kDoublingFails) return absl::InternalError("this number cannot be doubled");
      value *= factor_;
    }
    return std::vector<Tensor>{Floats(inputs[0].shape(), values)};
  }

 private:
  const float factor_;
};

inline absl::StatusOr<std::unique_ptr<Model>> LoadDoubling(const std::filesystem::path& file,
                                                           const ModelConfig& /*config*/,
                                                           const ModelLoadOptions& /*options*/) {
  const absl::StatusOr<std::string> text = ReadRegularFile(file, 1024);
  if (!text.ok()) return text.status();
  int times = 0;
  if (!absl::SimpleAtoi(*text, &times)) return absl::InternalError("the file holds no number");
  return std::make_unique<DoublingModel>(times);
}

inline const Backend kDoubling = {
    .name = "doubling", .file_name = "model.double", .warm_up_rounds = 5, .load = LoadDoubling};

// A model.toml for it.
inline constexpr char kDoublingConfig[] = R"(
inputs = [{name = "x", dtype = "FP32", shape = [-1, 1]}]
outputs = [{name = "y", dtype = "FP32", shape = [-1, 1]}]
max_batch_size = 1
)";

}  // namespace predictd

#endif  // PREDICTD_TESTS_FAKES_DOUBLING_BACKEND_H_
