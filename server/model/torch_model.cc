#include "server/model/torch_model.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_package/model_package_loader.h>
#include <torch/script.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/async/mutex.h"
#include "server/model/torch_errors.h"
#include "server/model/torch_graph.h"
#include "server/model/torch_package.h"
#include "server/model/torch_tensor.h"

namespace predictd {
namespace {

class TorchScriptModel final : public Model {
 public:
  TorchScriptModel(torch::jit::Module module, const Signature& signature)
      : module_(std::move(module)),
        forward_(module_.get_method("forward")),
        signature_(signature),
        cost_depends_on_shapes_only_(CostDependsOnShapesOnly(forward_)) {}

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    return CatchAll([&]() -> absl::StatusOr<std::vector<Tensor>> {
      const c10::InferenceMode inference_mode;
      std::vector<c10::IValue> stack;
      stack.reserve(inputs.size() + 1);
      for (const Tensor& input : inputs) stack.push_back(ToIValue(input));
      return FromIValue(forward_(std::move(stack)), signature_);
    });
  }
  bool cost_depends_on_shapes_only() const override { return cost_depends_on_shapes_only_; }

 private:
  torch::jit::Module module_;
  torch::jit::Method forward_;
  const Signature signature_;
  const bool cost_depends_on_shapes_only_;
};

class AotInductorModel final : public Model {
 public:
  AotInductorModel(const std::string& package, const PackageTraits& traits, int runners)
      : loader_(package, "model", /*run_single_threaded=*/false, static_cast<size_t>(runners)), traits_(traits) {}

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    return CatchAll([&]() -> absl::StatusOr<std::vector<Tensor>> {
      const c10::InferenceMode inference_mode;
      std::vector<at::Tensor> arguments;
      arguments.reserve(inputs.size());
      for (const Tensor& input : inputs) arguments.push_back(ViewAsTorch(input));
      std::vector<Tensor> outputs;
      for (at::Tensor& result : loader_.boxed_run(std::move(arguments))) {
        absl::StatusOr<Tensor> output = FromTorch(std::move(result));
        if (!output.ok()) return output.status();
        outputs.push_back(*std::move(output));
      }
      return outputs;
    });
  }
  bool cost_depends_on_shapes_only() const override { return traits_.cost_depends_on_shapes_only; }

 private:
  torch::inductor::AOTIModelPackageLoader loader_;
  const PackageTraits traits_;
};

absl::StatusOr<std::unique_ptr<Model>> LoadTorchScript(const std::string& file, const Signature& signature) {
  torch::jit::Module module = torch::jit::load(file, c10::kCPU);
  module.eval();
  if (!module.find_method("forward").has_value()) return absl::InternalError("the module has no forward method");
  const size_t arguments = module.get_method("forward").function().getSchema().arguments().size() - 1;
  if (arguments != signature.arguments()) {
    return absl::InternalError(
        absl::StrCat("forward takes ", arguments, " arguments, model.toml has ", signature.arguments(), " inputs"));
  }
  // Not frozen: that gains nothing that is safe, and loses what LibTorch looks at when an operator fails.
  return std::make_unique<TorchScriptModel>(std::move(module), signature);
}

absl::StatusOr<std::unique_ptr<Model>> LoadAotInductor(const std::string& file, const Signature& signature,
                                                       const TorchModelOptions& options) {
  for (const std::vector<TensorSpec>* specs : {&signature.inputs, &signature.outputs}) {
    for (const TensorSpec& spec : *specs) {
      if (spec.dtype == DType::kBytes) return absl::InternalError("an AOTInductor model has no BYTES tensors");
    }
  }
  const absl::StatusOr<PackageTraits> traits = InspectPackage(file);
  if (!traits.ok() && !options.allow_parallel_regions) return traits.status();
  if (traits.ok() && traits->may_end_process && !options.allow_parallel_regions) {
    return absl::FailedPreconditionError(
        "the package's code checks values (indices, say) and runs on several threads: a check that fails on one of "
        "them "
        "ends the server, for everybody. Export it for one thread (inductor_configs={\"cpp.threads\": 1}, without "
        "TORCHINDUCTOR_CPP_DYNAMIC_THREADS); or take the risk with allow_parallel_regions = true in model.toml");
  }
  // The loader's constructor races with itself on a static in this version.
  static Mutex loading;
  MutexLock lock(loading);
  return std::make_unique<AotInductorModel>(file, traits.value_or(PackageTraits()), options.runners);
}

}  // namespace

void InitTorchThread(int intra_op_threads) {
  at::set_num_threads(intra_op_threads);
}

absl::StatusOr<std::unique_ptr<Model>> LoadTorchModel(const VersionEntry& version, const Signature& signature,
                                                      const TorchModelOptions& options) {
  return CatchAll([&]() -> absl::StatusOr<std::unique_ptr<Model>> {
    const c10::InferenceMode inference_mode;
    if (version.backend == Backend::kTorchScript) return LoadTorchScript(version.file.string(), signature);
    return LoadAotInductor(version.file.string(), signature, options);
  });
}

}  // namespace predictd
