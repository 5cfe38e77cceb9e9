#include "server/engine/warm_up.h"

#include <algorithm>
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

Tensor Zeros(DType dtype, Shape shape) {
  if (dtype == DType::kBytes) {
    const int64_t elements = ElementCount(shape).value_or(0);
    return Tensor(std::move(shape), std::make_shared<std::vector<std::string>>(elements));
  }
  std::byte* fill = nullptr;
  Tensor zeros = Tensor::Allocate(dtype, std::move(shape), &fill);
  std::fill_n(fill, zeros.byte_size(), std::byte{0});
  return zeros;
}

// How long the last of the runs took.
absl::StatusOr<Duration> RunBatch(Model& model, const Signature& signature, const WarmUpBatch& batch, int rounds,
                                  const Clock& clock) {
  InferenceRequest request;
  request.rows = batch.rows;
  for (size_t i = 0; i < signature.inputs.size(); ++i) {
    request.inputs.push_back(Zeros(signature.inputs[i].dtype, ShapeOf(signature, i, batch)));
  }
  BatchBuffers buffers;
  const std::shared_ptr<Job> job = std::make_shared<Job>(std::move(request));
  const std::vector<Tensor> arguments = StackInputs({&job, 1}, signature.padding, buffers);
  Duration took{};
  for (int i = 0; i < rounds; ++i) {
    const TimePoint start = clock.Now();
    absl::StatusOr<std::vector<Tensor>> outputs = model.Run(arguments);
    took = clock.Now() - start;
    if (!outputs.ok()) return outputs.status();
    absl::Status status = CheckOutputs(signature, batch.rows, job->request.inputs, *outputs);
    if (!status.ok()) return status;
  }
  return took;
}

}  // namespace

std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature) {
  const std::vector<std::vector<int64_t>> all_lengths = LengthsByRank(signature.padding);
  std::vector<WarmUpBatch> batches;
  for (const std::vector<int64_t>& lengths : all_lengths) {
    batches.push_back({1, lengths});
    const int64_t most = MostRows(signature, lengths);
    if (most > 1) batches.push_back({most, lengths});
  }
  for (const std::vector<int64_t>& lengths : all_lengths) {
    const int64_t most = MostRows(signature, lengths);
    for (int64_t rows = 2; rows < most; rows *= 2) batches.push_back({rows, lengths, /*optional=*/true});
  }
  if (batches.size() > kMaxBatches) batches.resize(kMaxBatches);
  return batches;
}

absl::Status WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options, const Clock& clock,
                    BatchCost& cost) {
  const TimePoint start = clock.Now();
  for (const WarmUpBatch& batch : PlanWarmUp(signature)) {
    if (batch.optional && clock.Now() - start >= options.budget) return absl::OkStatus();
    const absl::StatusOr<Duration> took = RunBatch(model, signature, batch, options.rounds, clock);
    if (!took.ok()) return took.status();
    cost.Record(batch.rows, *took);
  }
  return absl::OkStatus();
}

}  // namespace predictd
