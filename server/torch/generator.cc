#include "server/torch/generator.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/script.h>
#include <unistd.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/model/cache_pages.h"
#include "server/torch/errors.h"

namespace predictd {
namespace {

// Sets this thread's number of intra-op threads for as long as it exists.
class IntraOpThreads {
 public:
  explicit IntraOpThreads(int threads) : before_(at::get_num_threads()) { at::set_num_threads(threads); }
  ~IntraOpThreads() { at::set_num_threads(before_); }
  IntraOpThreads(const IntraOpThreads&) = delete;
  IntraOpThreads& operator=(const IntraOpThreads&) = delete;

 private:
  const int before_;
};

// The memory of a cache tensor, which holds slot after slot.
struct SlotMemory {
  std::byte* data = nullptr;
  int64_t slot_bytes = 0;
};

class TorchGenerator final : public GeneratorModel {
 public:
  TorchGenerator(torch::jit::Module module, c10::IValue cache, std::vector<SlotMemory> memory, int64_t vocabulary,
                 int threads)
      : module_(std::move(module)),
        forward_(module_.get_method("forward")),
        prefill_(module_.get_method("prefill")),
        copy_slot_(module_.get_method("copy_slot")),
        cache_(std::move(cache)),
        memory_(std::move(memory)),
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

  void ReleaseSlots(int64_t first, int64_t count) override {
    for (const SlotMemory& memory : memory_) {
      ReleasePages(memory.data + first * memory.slot_bytes, static_cast<size_t>(count * memory.slot_bytes));
    }
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
  // Where memory can be given back, because the cache began as zeros.
  const std::vector<SlotMemory> memory_;
  const int64_t vocabulary_;
  const int threads_;
};

c10::IValue MakeCache(torch::jit::Module& module, int64_t slots, int64_t max_length) {
  c10::IValue cache = module.get_method("make_cache")({slots, max_length});
  TORCH_CHECK(cache.isTensorList(), "make_cache returns ", cache.tagKind(), ", expected a list of tensors");
  return cache;
}

// The bytes of a full slot, found out with a cache of a single slot.
int64_t SlotBytes(torch::jit::Module& module, int64_t max_length) {
  int64_t bytes = 0;
  for (const at::Tensor& tensor : MakeCache(module, 1, max_length).toTensorVector()) {
    bytes += static_cast<int64_t>(tensor.nbytes());
  }
  return bytes;
}

// Gives back the memory that zeros have taken, for instance because the module wrote them. Returns the memory for which
// this can be repeated.
std::vector<SlotMemory> ReleaseZeros(const c10::IValue& cache, int64_t slots) {
  std::vector<SlotMemory> memory;
  for (const at::Tensor& tensor : cache.toTensorVector()) {
    if (!tensor.device().is_cpu() || !tensor.is_contiguous() || tensor.dim() == 0 || tensor.size(0) != slots) continue;
    auto* const data = static_cast<std::byte*>(tensor.mutable_data_ptr());
    if (!IsZeros(data, tensor.nbytes())) continue;
    // Nothing in this memory is in use yet.
    ReleasePages(data, tensor.nbytes(), static_cast<size_t>(sysconf(_SC_PAGESIZE)));
    memory.push_back({data, static_cast<int64_t>(tensor.nbytes()) / slots});
  }
  return memory;
}

}  // namespace

absl::StatusOr<std::unique_ptr<GeneratorModel>> LoadTorchGenerator(const std::filesystem::path& file,
                                                                   const GeneratorLoadOptions& options) {
  return CatchAll([&]() -> absl::StatusOr<std::unique_ptr<GeneratorModel>> {
    const c10::InferenceMode inference_mode;
    const IntraOpThreads loading(options.threads);
    torch::jit::Module module = torch::jit::load(file.string(), c10::kCPU);
    module.eval();
    for (const char* method : {"make_cache", "forward", "prefill", "copy_slot"}) {
      if (!module.find_method(method).has_value()) {
        return absl::InternalError(absl::StrCat("the module has no method ", method, ", so it is no generator"));
      }
    }
    if (options.admit) {
      const absl::Status admitted = options.admit(SlotBytes(module, options.max_length));
      if (!admitted.ok()) return admitted;
    }
    c10::IValue cache = MakeCache(module, options.slots, options.max_length);
    std::vector<SlotMemory> memory = ReleaseZeros(cache, options.slots);
    return std::make_unique<TorchGenerator>(std::move(module), std::move(cache), std::move(memory), options.vocabulary,
                                            options.threads);
  });
}

}  // namespace predictd
