#include "server/model/torch_generator.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/script.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/torch_errors.h"

namespace predictd {
namespace {

// This thread's number of intra-op threads, while it lives.
class IntraOpThreads {
 public:
  explicit IntraOpThreads(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~IntraOpThreads() { at::set_num_threads(before_); }
  IntraOpThreads(const IntraOpThreads&) = delete;
  IntraOpThreads& operator=(const IntraOpThreads&) = delete;

 private:
  const int before_;
};

class TorchGenerator final : public GeneratorModel {
 public:
  TorchGenerator(torch::jit::Module module, c10::IValue cache, int64_t vocabulary, int threads)
      : module_(std::move(module)),
        forward_(module_.get_method("forward")),
        prefill_(module_.get_method("prefill")),
        copy_slot_(module_.get_method("copy_slot")),
        cache_(std::move(cache)),
        vocabulary_(vocabulary),
        threads_(threads) {}

  absl::StatusOr<Logits> Forward(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                                 int64_t first_slot) override {
    return CatchAll([&]() -> absl::StatusOr<Logits> {
      const c10::InferenceMode inference_mode;
      const IntraOpThreads threads(threads_);
      const auto rows = static_cast<int64_t>(positions.size());
      const at::Tensor logits = forward_(Arguments(tokens, positions, first_slot)).toTensor();
      if (logits.dim() != 2 || logits.size(0) != rows || logits.size(1) != vocabulary_ ||
          logits.scalar_type() != at::kFloat) {
        return absl::InternalError(absl::StrCat("expected logits of float32 [", rows, ", ", vocabulary_, "], got ",
                                                c10::toString(logits.scalar_type()), " ", c10::str(logits.sizes())));
      }
      const auto owner = std::make_shared<at::Tensor>(logits.contiguous());
      return Logits{.owner = owner, .data = owner->mutable_data_ptr<float>(), .vocabulary = vocabulary_};
    });
  }

  absl::Status Prefill(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                       int64_t first_slot) override {
    return CatchAll([&] {
      const c10::InferenceMode inference_mode;
      const IntraOpThreads threads(threads_);
      prefill_(Arguments(tokens, positions, first_slot));
      return absl::OkStatus();
    });
  }

  absl::Status CopySlot(int64_t from, int64_t to, int64_t begin, int64_t end) override {
    return CatchAll([&] {
      const c10::InferenceMode inference_mode;
      const IntraOpThreads threads(threads_);
      copy_slot_({cache_, from, to, begin, end});
      return absl::OkStatus();
    });
  }

 private:
  std::vector<c10::IValue> Arguments(absl::Span<const int32_t> tokens, absl::Span<const int64_t> positions,
                                     int64_t first_slot) const {
    const auto rows = static_cast<int64_t>(positions.size());
    const int64_t width = static_cast<int64_t>(tokens.size()) / rows;
    at::Tensor ids = at::empty({rows, width}, at::kLong);
    at::Tensor places = at::empty({rows, width}, at::kLong);
    for (int64_t i = 0; i < rows * width; ++i) {
      ids.mutable_data_ptr<int64_t>()[i] = tokens[i];
      places.mutable_data_ptr<int64_t>()[i] = positions[i / width] + i % width;
    }
    return {std::move(ids), std::move(places), first_slot, cache_};
  }

  torch::jit::Module module_;
  torch::jit::Method forward_;
  torch::jit::Method prefill_;
  torch::jit::Method copy_slot_;
  const c10::IValue cache_;
  const int64_t vocabulary_;
  const int threads_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GeneratorModel>> LoadTorchGenerator(const std::filesystem::path& file, int64_t slots,
                                                                   int64_t max_length, int64_t vocabulary,
                                                                   int threads) {
  return CatchAll([&]() -> absl::StatusOr<std::unique_ptr<GeneratorModel>> {
    const c10::InferenceMode inference_mode;
    const IntraOpThreads loading(threads);
    torch::jit::Module module = torch::jit::load(file.string(), c10::kCPU);
    module.eval();
    for (const char* method : {"make_cache", "forward", "prefill", "copy_slot"}) {
      if (!module.find_method(method).has_value()) {
        return absl::InternalError(absl::StrCat("the module has no method ", method, ", so it is no generator"));
      }
    }
    c10::IValue cache = module.get_method("make_cache")({slots, max_length});
    return std::make_unique<TorchGenerator>(std::move(module), std::move(cache), vocabulary, threads);
  });
}

}  // namespace predictd
