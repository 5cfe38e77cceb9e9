#include "server/engine/answer_check.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "server/engine/batch.h"
#include "server/engine/warm_up_inputs.h"
#include "server/model/element.h"
#include "server/model/element_types.h"
#include "server/model/value_range.h"

namespace predictd {
namespace {

// A model whose single row takes longer is not checked: it would have to run half a dozen times.
constexpr Duration kLongest = std::chrono::milliseconds(200);

// Rounding depends on the number of rows. These tolerances are far beyond rounding.
constexpr double kTolerance = 0.01;
constexpr double kHalfTolerance = 0.05;

using CheckedJobs = std::vector<std::shared_ptr<Job>>;

// Makes up rows. They use what the warm-up used wherever a value matters, since nobody vouched for any other value.
class RowMaker {
 public:
  RowMaker(const Signature& signature, int64_t open_extent) : signature_(signature), inputs_(signature, open_extent) {
    for (const PaddedLength& length : signature.padding.lengths) lengths_.push_back(length.buckets.front());
  }

  // Makes a row of the first sample in model.toml, beginning with its row or value at `shift`.
  std::shared_ptr<Job> Make(size_t shift) {
    shift_ = shift;
    InferenceRequest request;
    for (size_t i = 0; i < signature_.inputs.size(); ++i) request.inputs.push_back(MakeInput(i));
    return std::make_shared<Job>(std::move(request));
  }

 private:
  Tensor MakeInput(size_t input) {
    const TensorSpec& spec = signature_.inputs[input];
    const WarmUpInput& from = inputs_.Of(0, input);
    const bool said = from.array.has_value() || from.random.has_value() || !from.elements.empty();
    if (said || spec.dtype == DType::kBytes) return inputs_.Make(0, input, 1, lengths_, shift_);
    Shape shape = inputs_.ShapeOf(0, input, 1, lengths_);
    const int64_t elements = ElementCount(shape).value_or(0);
    std::byte* fill = nullptr;
    Tensor tensor = Tensor::Allocate(spec.dtype, std::move(shape), &fill);
    const size_t width = ByteWidth(spec.dtype);
    for (int64_t i = 0; i < elements; ++i, fill += width) {
      std::memcpy(fill, MakeElement(spec, static_cast<size_t>(i) + shift_).data(), width);
    }
    return tensor;
  }

  ElementBytes MakeElement(const TensorSpec& spec, size_t at) {
    if (spec.range.has_value()) return at % 2 == 0 ? spec.range->least : spec.range->most;
    // Integers may be indices, so they stay 0.
    if (!ToElement(spec.dtype, 0.5).has_value()) return ElementBytes{};
    return ToElement(spec.dtype, static_cast<double>(random_() % 2001) / 1000.0 - 1.0).value_or(ElementBytes{});
  }

  const Signature& signature_;
  const WarmUpInputs inputs_;
  std::vector<int64_t> lengths_;
  size_t shift_ = 0;
  std::mt19937_64 random_;
};

double NumberAt(const Tensor& tensor, int64_t i) {
  return VisitElementType(tensor.dtype(), 0.0, [&](auto type) {
    typename decltype(type)::Stored stored;
    std::memcpy(&stored, tensor.data() + i * static_cast<int64_t>(sizeof(stored)), sizeof(stored));
    return static_cast<double>(decltype(type)::Read(stored));
  });
}

bool Alike(const Tensor& a, const Tensor& b) {
  if (a.present() != b.present() || a.shape() != b.shape()) return false;
  if (!a.present()) return true;
  if (a.dtype() == DType::kBytes) return std::equal(a.strings().begin(), a.strings().end(), b.strings().begin());
  if (!IsFloat(a.dtype())) return a.byte_size() == 0 || std::memcmp(a.data(), b.data(), a.byte_size()) == 0;
  const bool half = ByteWidth(a.dtype()) == 2;
  const double tolerance = half ? kHalfTolerance : kTolerance;
  double largest = 0;
  for (int64_t i = 0; i < a.elements(); ++i) {
    const double value = std::abs(NumberAt(a, i));
    if (std::isfinite(value)) largest = std::max(largest, value);
  }
  for (int64_t i = 0; i < a.elements(); ++i) {
    const double x = NumberAt(a, i);
    const double y = NumberAt(b, i);
    if (!std::isfinite(x) || !std::isfinite(y)) {
      if (x != y && !(std::isnan(x) && std::isnan(y))) return false;
    } else if (std::abs(x - y) > tolerance * std::max(largest, 1e-6)) {
      return false;
    }
  }
  return true;
}

bool Alike(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](const Tensor& x, const Tensor& y) { return Alike(x, y); });
}

// The outputs; nullopt if the model did not take the rows.
std::optional<std::vector<Tensor>> Run(Model& model, const Signature& signature, const CheckedJobs& jobs) {
  BatchBuffers buffers;
  absl::StatusOr<std::vector<Tensor>> outputs = model.Run(StackInputs(jobs, signature.padding, buffers));
  if (!outputs.ok()) return std::nullopt;
  const auto rows = static_cast<int64_t>(jobs.size());
  if (!CheckOutputs(signature, rows, jobs.front()->request.inputs, *outputs).ok()) return std::nullopt;
  return *std::move(outputs);
}

constexpr const char* kDiffers =
    "the same request gets different answers: they depend on chance, or on what ran before";
constexpr const char* kDepends =
    "its rows are not independent: an answer depends on what it is batched with (batched = false keeps them apart)";

}  // namespace

AnswerCheck CheckAnswers(Model& model, const Signature& signature, const Clock& clock, int64_t open_extent) {
  AnswerCheck differs = {.wrong = kDiffers, .may_remember = true};
  RowMaker rows(signature, open_extent);
  const CheckedJobs one = {rows.Make(0)};
  const CheckedJobs other = {rows.Make(1)};
  const TimePoint started = clock.Now();
  const auto alone = Run(model, signature, one);
  if (!alone.has_value() || clock.Now() - started > kLongest) return {};
  const auto again = Run(model, signature, one);
  if (!again.has_value()) return {};
  if (!Alike(*alone, *again)) return differs;
  if (signature.batched && signature.max_batch_size > 1) {
    const auto first = Run(model, signature, {one[0], other[0]});
    const auto second = Run(model, signature, {other[0], one[0]});
    if (!first.has_value() || !second.has_value()) return {};
    if (!Alike(*alone, SliceRows(*first, 0, 1)) || !Alike(*alone, SliceRows(*second, 1, 1))) return {.wrong = kDepends};
  }
  if (!Run(model, signature, other).has_value()) return {};
  const auto last = Run(model, signature, one);
  return last.has_value() && !Alike(*alone, *last) ? differs : AnswerCheck{};
}

}  // namespace predictd
