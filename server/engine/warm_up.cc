#include "server/engine/warm_up.h"

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "server/engine/batch.h"

namespace predictd {
namespace {

// No batch has inputs of more elements than this.
constexpr int64_t kMaxElements = int64_t{1} << 26;
// Seven sizes (1 to 64 rows) of nine lengths.
constexpr size_t kMaxBatches = 64;
// The first run of a batch fills caches and makes what is made once, which matters beside little time.
constexpr Duration kCheap = std::chrono::milliseconds(1);
constexpr int kCheapRounds = 3;

// An input's shape with `rows` rows and those lengths; other open dimensions are 1.
Shape ShapeOf(const Signature& signature, size_t input, const WarmUpBatch& batch) {
  Shape shape = signature.inputs[input].shape;
  if (const PaddedInput* padded = signature.padding.Find(input)) {
    shape[padded->dimension] = batch.lengths[padded->length];
  }
  std::replace(shape.begin(), shape.end(), int64_t{-1}, int64_t{1});
  if (signature.batched) shape[0] = batch.rows;
  return shape;
}

// The largest batch of those lengths.
int64_t MostRows(const Signature& signature, std::vector<int64_t> lengths) {
  const WarmUpBatch single = {1, std::move(lengths)};
  int64_t elements = 1;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    elements += ElementCount(ShapeOf(signature, i, single)).value_or(kMaxElements);
  }
  return std::clamp<int64_t>(kMaxElements / elements, 1, signature.max_batch_size);
}

std::vector<std::vector<int64_t>> LengthsByRank(const Padding& padding) {
  size_t ranks = 1;
  for (const PaddedLength& length : padding.lengths) ranks = std::max(ranks, length.buckets.size());
  std::vector<std::vector<int64_t>> all(ranks);
  for (size_t rank = 0; rank < ranks; ++rank) {
    for (const PaddedLength& length : padding.lengths) {
      all[rank].push_back(length.buckets[std::min(rank, length.buckets.size() - 1)]);
    }
  }
  return all;
}

// Zeros, or the least that the input may hold if that leaves them out.
Tensor Harmless(const TensorSpec& spec, Shape shape) {
  if (spec.dtype == DType::kBytes) {
    const int64_t elements = ElementCount(shape).value_or(0);
    return Tensor(std::move(shape), std::make_shared<std::vector<std::string>>(elements));
  }
  std::byte* fill = nullptr;
  Tensor tensor = Tensor::Allocate(spec.dtype, std::move(shape), &fill);
  if (!spec.range.has_value() || InRange(spec.dtype, *spec.range, ElementBytes{})) {
    std::fill_n(fill, tensor.byte_size(), std::byte{0});
    return tensor;
  }
  const size_t width = ByteWidth(spec.dtype);
  for (size_t i = 0; i < tensor.byte_size(); i += width) std::memcpy(fill + i, spec.range->least.data(), width);
  return tensor;
}

int64_t ElementsOf(const Signature& signature, const WarmUpBatch& batch) {
  int64_t elements = 0;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    elements += ElementCount(ShapeOf(signature, i, batch)).value_or(kMaxElements);
  }
  return std::max<int64_t>(elements, 1);
}

// The warm-up of one version on one thread.
class WarmingUp {
 public:
  WarmingUp(Model& model, const Signature& signature, const WarmUpOptions& options, const Clock& clock, BatchCost& cost)
      : model_(model), signature_(signature), options_(options), clock_(clock), cost_(cost), start_(clock.Now()) {}

  absl::StatusOr<WarmUpReport> Run() {
    for (const WarmUpBatch& batch : PlanWarmUp(signature_)) {
      const int rounds = RoundsOf(batch);
      if (rounds == 0) {
        if (!batch.optional) ++report_.left_out;
        continue;
      }
      if (absl::Status status = RunBatch(batch, rounds); !status.ok()) return status;
    }
    return report_;
  }

 private:
  // How often there is time for it, by what the one before took. Each is larger than the one before.
  int RoundsOf(const WarmUpBatch& batch) const {
    const double growth = static_cast<double>(ElementsOf(signature_, batch)) / static_cast<double>(last_elements_);
    const double probably = static_cast<double>(last_took_.count()) * std::max(1.0, growth);
    const auto fits = [&](int rounds, Duration limit) {
      return static_cast<double>((clock_.Now() - start_).count()) + probably * rounds <=
             static_cast<double>(limit.count());
    };
    if (last_took_ == Duration::zero() || fits(options_.rounds, options_.budget)) return options_.rounds;
    return !batch.optional && fits(1, options_.longest) ? 1 : 0;
  }

  absl::Status RunBatch(const WarmUpBatch& batch, int rounds) {
    InferenceRequest request;
    request.rows = batch.rows;
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      request.inputs.push_back(Harmless(signature_.inputs[i], ShapeOf(signature_, i, batch)));
    }
    BatchBuffers buffers;
    const std::shared_ptr<Job> job = std::make_shared<Job>(std::move(request));
    const std::vector<Tensor> arguments = StackInputs({&job, 1}, signature_.padding, buffers);
    for (int i = 0; i < rounds || (i < kCheapRounds && last_took_ < kCheap); ++i) {
      if (options_.stopping != nullptr && *options_.stopping) return absl::CancelledError("the server shuts down");
      const Duration thread_started = clock_.ThreadTime();
      const TimePoint started = clock_.Now();
      absl::StatusOr<std::vector<Tensor>> outputs = model_.Run(arguments);
      last_took_ = clock_.Now() - started;
      const Duration computed = clock_.ThreadTime() - thread_started;
      if (!outputs.ok()) return outputs.status();
      absl::Status status = CheckOutputs(signature_, batch.rows, job->request.inputs, *outputs);
      if (!status.ok()) return status;
      if (batch.largest) report_.largest = std::min(report_.largest.value_or(computed), computed);
    }
    last_elements_ = ElementsOf(signature_, batch);
    cost_.Record(batch.rows, last_took_);
    return absl::OkStatus();
  }

  Model& model_;
  const Signature& signature_;
  const WarmUpOptions& options_;
  const Clock& clock_;
  BatchCost& cost_;
  const TimePoint start_;
  // Of the last batch that ran.
  Duration last_took_{};
  int64_t last_elements_ = 1;
  WarmUpReport report_;
};

}  // namespace

std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature) {
  std::vector<std::vector<int64_t>> all_lengths = LengthsByRank(signature.padding);
  const std::vector<int64_t> longest = all_lengths.back();
  // The longest first: they must not be what is beyond the bounded number.
  std::reverse(all_lengths.begin(), all_lengths.end());
  std::vector<WarmUpBatch> batches;
  const auto add = [&](int64_t rows, const std::vector<int64_t>& lengths, bool optional) {
    const bool largest = rows == signature.max_batch_size && lengths == longest;
    batches.push_back({rows, lengths, optional, largest});
  };
  for (const std::vector<int64_t>& lengths : all_lengths) {
    add(1, lengths, /*optional=*/false);
    const int64_t most = MostRows(signature, lengths);
    if (most > 1) add(most, lengths, /*optional=*/false);
  }
  for (const std::vector<int64_t>& lengths : all_lengths) {
    const int64_t most = MostRows(signature, lengths);
    for (int64_t rows = 2; rows < most; rows *= 2) add(rows, lengths, /*optional=*/true);
  }
  if (batches.size() > kMaxBatches) batches.resize(kMaxBatches);
  std::stable_sort(batches.begin(), batches.end(), [&](const WarmUpBatch& a, const WarmUpBatch& b) {
    return ElementsOf(signature, a) < ElementsOf(signature, b);
  });
  return batches;
}

absl::StatusOr<WarmUpReport> WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options,
                                    const Clock& clock, BatchCost& cost) {
  return WarmingUp(model, signature, options, clock, cost).Run();
}

}  // namespace predictd
