#include "server/engine/warm_up.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/work_status.h"
#include "server/engine/batch.h"
#include "server/engine/memory_forecast.h"
#include "server/engine/warm_up_inputs.h"

namespace predictd {
namespace {

// No batch has inputs with more elements than this.
constexpr int64_t kMaxElements = int64_t{1} << 26;
// Enough for seven sizes (1 to 64 rows) at each of nine lengths.
constexpr size_t kMaxBatches = 64;
// A batch's first run fills caches and creates what is created only once, which distorts the time of a cheap batch.
constexpr Duration kCheap = std::chrono::milliseconds(1);
constexpr int kCheapRounds = 3;
// The extents that open dimensions are tried with if a row of extent 1 fails: convolution and pooling windows need
// more.
constexpr int64_t kOpenExtents[] = {1, 16, 64, 224};
// One part in kSpare of the memory that is left is never planned for.
constexpr int64_t kSpare = 8;
// A batch that needs less than one part in kNegligible of it needs no look at how much is left at the moment.
constexpr int64_t kNegligible = 64;
constexpr int64_t kGoodPart = 4;

// The rows of the largest batch of a sample with those lengths.
int64_t MostRows(const Signature& signature, const WarmUpInputs& inputs, size_t sample,
                 const std::vector<int64_t>& lengths) {
  const int64_t elements = inputs.Elements(sample, 1, lengths) + 1;
  return std::clamp<int64_t>(kMaxElements / elements, 1, signature.max_batch_size);
}

// The longest bucket of every padded length.
std::vector<int64_t> LongestOf(const Padding& padding) {
  std::vector<int64_t> longest;
  for (const PaddedLength& length : padding.lengths) longest.push_back(length.buckets.back());
  return longest;
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

std::string MiB(int64_t bytes) {
  return absl::StrCat((bytes + (1 << 20) - 1) >> 20, " MiB");
}

class WarmingUp {
 public:
  WarmingUp(Model& model, const Signature& signature, const WarmUpOptions& options, const Clock& clock, BatchCost& cost,
            int64_t open_extent)
      : model_(model),
        signature_(signature),
        inputs_(signature, open_extent),
        options_(options),
        clock_(clock),
        cost_(cost) {
    report_.most_rows = signature.max_batch_size;
    report_.open_extent = open_extent;
  }

  absl::StatusOr<WarmUpReport> Run() {
    for (const WarmUpBatch& batch : PlanWarmUp(signature_, report_.open_extent)) {
      if (batch.rows > report_.most_rows) continue;
      absl::Status status = CheckMemory(batch);
      if (status.ok()) {
        const int rounds = RoundsOf(batch);
        if (rounds == 0) {
          if (!batch.optional) ++report_.left_out;
          continue;
        }
        status = RunContained(batch, rounds);
      }
      if (status.ok()) continue;
      const bool shortage = absl::IsResourceExhausted(status) || (absl::IsInternal(status) && MayBeShortage(batch));
      if (!shortage || batch.rows == 1) return About(batch, status);
      // Smaller batches ran before and succeeded.
      report_.most_rows = static_cast<int64_t>(std::bit_floor(static_cast<uint64_t>(batch.rows - 1)));
      report_.shortage = absl::StrCat(batch.rows, " rows: ", status.message());
    }
    return report_;
  }

  bool has_run() const { return !report_.runs.empty(); }

 private:
  // Says on which sample the model failed.
  absl::Status About(const WarmUpBatch& batch, const absl::Status& status) const {
    if (signature_.warmup_samples.empty() || absl::IsCancelled(status)) return status;
    return absl::Status(status.code(), absl::StrCat("warmup_samples[", batch.sample, "]: ", status.message()));
  }

  int64_t Elements(const WarmUpBatch& batch) const { return inputs_.Elements(batch.sample, batch.rows, batch.lengths); }

  // RESOURCE_EXHAUSTED if as many such batches as may run at once would probably not fit.
  absl::Status CheckMemory(const WarmUpBatch& batch) const {
    if (options_.memory == nullptr) return absl::OkStatus();
    const int64_t expected = forecast_.Expect(batch.rows, Elements(batch) / batch.rows);
    const int64_t left = options_.memory_left - options_.memory_left / kSpare;
    // Memory that smaller batches left behind may be too fragmented for this one.
    const bool fits_now = expected < left / kNegligible || expected <= options_.memory->Left();
    if (fits_now && expected <= left / options_.concurrency) return absl::OkStatus();
    return absl::ResourceExhaustedError(
        absl::StrCat("a run takes about ", MiB(expected), " beside the model",
                     options_.concurrency > 1 ? absl::StrCat(", ", options_.concurrency, " may run at once") : "",
                     ", and ", MiB(options_.memory_left), " are left"));
  }

  // Whether a failed batch may have failed for lack of memory, because it needs a large part of what is left: compiled
  // code only reports that a call failed.
  bool MayBeShortage(const WarmUpBatch& batch) const {
    if (options_.memory == nullptr) return false;
    return forecast_.Expect(batch.rows, Elements(batch) / batch.rows) > options_.memory->Left() / kGoodPart;
  }

  // How many rounds there is time for, judged by the batch before. Each batch is larger than the one before.
  int RoundsOf(const WarmUpBatch& batch) const {
    const double growth = static_cast<double>(Elements(batch)) / static_cast<double>(last_elements_);
    const double probably = static_cast<double>(last_took_.count()) * std::max(1.0, growth);
    const auto fits = [&](int rounds, Duration limit) {
      return static_cast<double>(spent_.count()) + probably * rounds <= static_cast<double>(limit.count());
    };
    if (last_took_ == Duration::zero() || fits(options_.rounds, options_.budget)) return options_.rounds;
    return !batch.optional && fits(1, options_.longest) ? 1 : 0;
  }

  absl::Status RunContained(const WarmUpBatch& batch, int rounds) {
    peak_ = 0;
    absl::Status status;
    try {
      status = RunBatch(batch, rounds);
    } catch (...) {
      status = StatusOfException();
    }
    if (!status.ok()) return status;
    if (options_.memory != nullptr) {
      report_.peak_bytes = std::max(report_.peak_bytes, peak_);
      forecast_.Record(batch.rows, Elements(batch) / batch.rows, peak_);
    }
    report_.runs.push_back({batch.rows, batch.lengths, last_took_});
    if (!signature_.warmup_samples.empty()) report_.runs.back().sample = batch.sample;
    last_elements_ = Elements(batch);
    cost_.Record(batch.rows, last_took_);
    return absl::OkStatus();
  }

  // The inputs of a batch.
  struct Inputs {
    std::shared_ptr<Job> job;
    BatchBuffers buffers;
    std::vector<Tensor> arguments;
  };

  absl::Status RunBatch(const WarmUpBatch& batch, int rounds) {
    Inputs inputs;
    for (int i = 0; i < rounds || (i < kCheapRounds && last_took_ < kCheap); ++i) {
      if (options_.stopping != nullptr && *options_.stopping) return absl::CancelledError("the server shuts down");
      Duration computed{};
      const absl::StatusOr<std::vector<Tensor>> outputs = RunOnce(batch, inputs, computed);
      if (!outputs.ok()) return outputs.status();
      absl::Status status = CheckOutputs(signature_, batch.rows, inputs.job->request.inputs, *outputs);
      if (!status.ok()) return status;
      if (batch.largest) report_.largest = std::min(report_.largest.value_or(computed), computed);
    }
    return absl::OkStatus();
  }

  // Runs the model on the thread that is to be warm, and takes its time and memory. The first time that includes the
  // memory of the inputs.
  absl::StatusOr<std::vector<Tensor>> RunOnce(const WarmUpBatch& batch, Inputs& inputs, Duration& computed) {
    absl::StatusOr<std::vector<Tensor>> outputs;
    const auto run = [&] {
      if (options_.memory != nullptr) options_.memory->Begin();
      if (inputs.job == nullptr) {
        absl::Status made = MakeInputs(batch, inputs);
        if (!made.ok()) return void(outputs = std::move(made));
      }
      const Duration thread_started = clock_.ThreadTime();
      const TimePoint started = clock_.Now();
      outputs = model_.Run(inputs.arguments);
      last_took_ = clock_.Now() - started;
      spent_ += last_took_;
      computed = clock_.ThreadTime() - thread_started;
      if (options_.memory != nullptr) peak_ = std::max(peak_, options_.memory->Peak());
    };
    if (options_.run == nullptr) {
      run();
    } else {
      options_.run(run);
    }
    return outputs;
  }

  absl::Status MakeInputs(const WarmUpBatch& batch, Inputs& inputs) const {
    InferenceRequest request;
    request.rows = batch.rows;
    for (size_t i = 0; i < signature_.inputs.size(); ++i) {
      request.inputs.push_back(inputs_.Make(batch.sample, i, batch.rows, batch.lengths));
    }
    // The code of some models relies on it.
    for (const LengthError& error : signature_.limits.Check(signature_.padding, request.inputs)) {
      return absl::InvalidArgumentError(
          absl::StrCat("input '", signature_.inputs[error.input].name, "': ", error.message));
    }
    inputs.job = std::make_shared<Job>(std::move(request));
    inputs.arguments = StackInputs({&inputs.job, 1}, signature_.padding, inputs.buffers);
    return absl::OkStatus();
  }

  Model& model_;
  const Signature& signature_;
  const WarmUpInputs inputs_;
  const WarmUpOptions& options_;
  const Clock& clock_;
  BatchCost& cost_;
  // The time of all runs, without that in which a worker did something else.
  Duration spent_{};
  MemoryForecast forecast_;
  // The time and the elements of the last batch that ran.
  Duration last_took_{};
  int64_t last_elements_ = 1;
  // The most memory that a run of the batch took.
  int64_t peak_ = 0;
  WarmUpReport report_;
};

}  // namespace

std::vector<WarmUpBatch> PlanWarmUp(const Signature& signature, int64_t open_extent) {
  std::vector<std::vector<int64_t>> all_lengths = LengthsByRank(signature.padding);
  const std::vector<int64_t> longest = all_lengths.back();
  // The longest lengths come first, so that they are not cut off by the bounded number.
  std::reverse(all_lengths.begin(), all_lengths.end());
  const WarmUpInputs inputs(signature, open_extent);
  std::vector<WarmUpBatch> batches;
  const auto add = [&](int64_t rows, const std::vector<int64_t>& lengths, size_t sample, bool optional) {
    batches.push_back({rows, lengths, optional, /*largest=*/false, sample});
  };
  for (const std::vector<int64_t>& lengths : all_lengths) {
    for (size_t sample = 0; sample < inputs.samples(); ++sample) {
      add(1, lengths, sample, /*optional=*/false);
      const int64_t most = MostRows(signature, inputs, sample, lengths);
      if (most > 1) add(most, lengths, sample, /*optional=*/false);
    }
  }
  for (const std::vector<int64_t>& lengths : all_lengths) {
    for (size_t sample = 0; sample < inputs.samples(); ++sample) {
      const int64_t most = MostRows(signature, inputs, sample, lengths);
      for (int64_t rows = 2; rows < most; rows *= 2) add(rows, lengths, sample, /*optional=*/true);
    }
  }
  if (batches.size() > kMaxBatches) batches.resize(kMaxBatches);
  std::stable_sort(batches.begin(), batches.end(), [&](const WarmUpBatch& a, const WarmUpBatch& b) {
    return inputs.Elements(a.sample, a.rows, a.lengths) < inputs.Elements(b.sample, b.rows, b.lengths);
  });
  const auto largest = std::find_if(batches.rbegin(), batches.rend(), [&](const WarmUpBatch& batch) {
    return batch.rows == signature.max_batch_size && batch.lengths == longest;
  });
  if (largest != batches.rend()) largest->largest = true;
  return batches;
}

absl::StatusOr<WarmUpReport> WarmUp(Model& model, const Signature& signature, const WarmUpOptions& options,
                                    const Clock& clock, BatchCost& cost) {
  absl::Status first;
  const std::vector<int64_t> longest = LongestOf(signature.padding);
  for (const int64_t extent : kOpenExtents) {
    const WarmUpInputs inputs(signature, extent);
    if (!first.ok() && inputs.Elements(0, 1, longest) >= kMaxElements) break;
    WarmingUp warming_up(model, signature, options, clock, cost, extent);
    absl::StatusOr<WarmUpReport> report = warming_up.Run();
    if (report.ok() || warming_up.has_run()) return report;
    if (first.ok()) first = report.status();
    // Another extent helps only if the model rejects this one.
    if (!absl::IsInternal(report.status()) || !inputs.HasOpenExtent(longest)) break;
  }
  return first;
}

}  // namespace predictd
