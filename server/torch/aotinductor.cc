#include "server/torch/aotinductor.h"

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>
#include <torch/csrc/inductor/aoti_runner/model_container_runner_cpu.h>

#include <algorithm>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/async/mutex.h"
#include "server/compiled/arguments.h"
#include "server/compiled/call_spec.h"
#include "server/compiled/layout.h"
#include "server/compiled/signature.h"
#include "server/compiled/source.h"
#include "server/files/mapped_file.h"
#include "server/torch/errors.h"
#include "server/torch/package.h"
#include "server/torch/tensor.h"

namespace predictd {
namespace {

using torch::inductor::AOTIModelContainerRunnerCpu;

// How the tensor for an input of the code is made.
struct InputUse {
  size_t argument = 0;
  // Whether the code writes to it, so that it gets a copy of its own.
  bool written = false;
  // If its layout is not C order: the strides in elements, by its own extents and those of other inputs.
  std::vector<SizeExpression> strides = {};
};

// What is known about a package before it runs.
struct PackagePlan {
  CompiledSource source;
  CompiledSignature fitted;
  // The signature's names.
  std::vector<std::string> output_names;
  PackageTraits traits;
  Caveats caveats;
};

class AotInductorModel final : public Model {
 public:
  AotInductorModel(std::unique_ptr<AOTIModelContainerRunnerCpu> runner, PackagePlan plan)
      : runner_(std::move(runner)), plan_(std::move(plan)), one_at_a_time_(!plan_.caveats.state.empty()) {
    for (size_t i = 0; i < plan_.source.inputs.size(); ++i) {
      const CompiledInput& input = plan_.source.inputs[i];
      InputUse use = {.argument = plan_.fitted.arguments[i], .written = input.written};
      if (!IsInCOrder(input)) {
        for (const auto& stride : input.strides) use.strides.push_back(*stride);
        any_strides_ = true;
      }
      inputs_.push_back(std::move(use));
    }
    if (!plan_.source.written_constants.empty()) KeepFirstState();
  }

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    if (!one_at_a_time_) return RunNow(inputs);
    MutexLock lock(state_mutex_);
    return RunNow(inputs);
  }

  // A model with state may wait for other runs, which no event loop may do.
  bool cost_depends_on_shapes_only() const override {
    return plan_.traits.cost_depends_on_shapes_only && !one_at_a_time_;
  }
  const Caveats& caveats() const override { return plan_.caveats; }
  void RunOneAtATime() override { one_at_a_time_ = true; }
  const InputLimits& input_limits() const override { return plan_.fitted.limits; }

  void ForgetRuns() override {
    const c10::InferenceMode inference_mode;
    for (auto& [constant, first] : first_state_) constant.copy_(first);
  }

 private:
  absl::StatusOr<std::vector<Tensor>> RunNow(absl::Span<const Tensor> inputs) {
    return CatchAll([&]() -> absl::StatusOr<std::vector<Tensor>> {
      // Requests were checked already; this protects against other callers that make up inputs. Beyond its limits the
      // code would read foreign memory.
      const InputLimits& limits = plan_.fitted.run_limits;
      if (!limits.extents.empty()) {
        const std::vector<LengthError> errors = limits.Check({}, inputs);
        if (!errors.empty()) return absl::InternalError(errors.front().message);
      }
      const c10::InferenceMode inference_mode;
      std::vector<at::Tensor> arguments;
      arguments.reserve(inputs_.size());
      for (const InputUse& use : inputs_) arguments.push_back(ViewAsTorch(inputs[use.argument]));
      if (any_strides_) PutInOrder(arguments);
      for (size_t i = 0; i < inputs_.size(); ++i) {
        if (inputs_[i].written) arguments[i] = arguments[i].clone();
      }
      std::vector<at::Tensor> results = runner_->boxed_run(std::move(arguments));
      std::vector<Tensor> outputs;
      outputs.reserve(plan_.fitted.outputs.size());
      for (size_t i = 0; i < plan_.fitted.outputs.size(); ++i) {
        at::Tensor& result = results[plan_.fitted.outputs[i]];
        absl::StatusOr<Tensor> tensor = FromTorch(std::move(result), plan_.output_names[i]);
        if (!tensor.ok()) return tensor.status();
        outputs.push_back(*std::move(tensor));
      }
      return outputs;
    });
  }

  void KeepFirstState() {
    const auto full_names = runner_->getConstantNamesToOriginalFQNs();
    const auto constants = runner_->extract_constants_map(/*use_inactive=*/false);
    for (const std::string& name : plan_.source.written_constants) {
      const auto full_name = full_names.find(name);
      const auto constant = full_name == full_names.end() ? constants.end() : constants.find(full_name->second);
      if (constant != constants.end()) first_state_.emplace_back(constant->second, constant->second.clone());
    }
  }

  // Copies inputs for which the code expects a layout other than C order.
  void PutInOrder(std::vector<at::Tensor>& arguments) const {
    std::map<std::string, int64_t> symbols;
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const std::vector<CompiledExtent>& extents = plan_.source.inputs[i].extents;
      for (size_t d = 0; d < extents.size(); ++d) {
        const auto linear = extents[d].size.has_value() ? extents[d].size->linear() : std::nullopt;
        const int64_t extent = arguments[i].size(static_cast<int64_t>(d));
        if (linear.has_value()) symbols.emplace(linear->symbol, (extent - linear->offset) / linear->factor);
      }
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (inputs_[i].strides.empty()) continue;
      std::vector<int64_t> strides;
      for (const SizeExpression& stride : inputs_[i].strides) {
        const std::optional<int64_t> value = stride.Evaluate(symbols);
        TORCH_CHECK(value.has_value(), "an input's strides are not known");
        strides.push_back(*value);
      }
      at::Tensor ordered = at::empty_strided(arguments[i].sizes(), strides, arguments[i].options());
      arguments[i] = ordered.copy_(arguments[i]);
    }
  }

  const std::unique_ptr<AOTIModelContainerRunnerCpu> runner_;
  const PackagePlan plan_;
  std::vector<InputUse> inputs_;
  bool any_strides_ = false;
  // The constants that runs change, and their first values.
  std::vector<std::pair<at::Tensor, at::Tensor>> first_state_;
  // state_mutex_ is held during each run of a model with state.
  bool one_at_a_time_;
  Mutex state_mutex_;
};

// Refuses keys that only TorchScript modules have.
absl::Status CheckIsNoScript(const ModelConfig& config) {
  const Signature& signature = config.signature;
  const auto optional = [](const TensorSpec& spec) { return spec.optional; };
  const bool any_optional = std::any_of(signature.inputs.begin(), signature.inputs.end(), optional) ||
                            std::any_of(signature.outputs.begin(), signature.outputs.end(), optional);
  const char* const key = any_optional                        ? "optional"
                          : config.method != "forward"        ? "method"
                          : config.inference_mode.has_value() ? "inference_mode"
                                                              : nullptr;
  if (key == nullptr) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(key, " in model.toml is for TorchScript modules only"));
}

absl::Status CheckBytes(const Signature& signature) {
  for (const std::vector<TensorSpec>* specs : {&signature.inputs, &signature.outputs}) {
    for (const TensorSpec& spec : *specs) {
      if (spec.dtype != DType::kBytes) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(spec.name, " is BYTES in model.toml, and an AOTInductor package has no such tensors"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<PackageTraits> ReadTraits(const UnpackedPackage& package, bool allow_parallel_regions) {
  const absl::StatusOr<MappedFile> library = MappedFile::Open(package.library);
  if (!library.ok()) return library.status();
  absl::StatusOr<PackageTraits> traits = InspectLibrary(library->bytes());
  if (!traits.ok() && allow_parallel_regions) return PackageTraits();
  if (!traits.ok()) return absl::InvalidArgumentError(absl::StrCat("the compiled code: ", traits.status().message()));
  if (traits->may_end_process && !allow_parallel_regions) {
    return absl::FailedPreconditionError(
        "the package's code checks values (indices, say) and runs on several threads: a check that fails on one of "
        "them ends the server, for everybody. Export it for one thread (inductor_configs={\"cpp.threads\": 1}, without "
        "TORCHINDUCTOR_CPP_DYNAMIC_THREADS); or take the risk with allow_parallel_regions = true in model.toml");
  }
  return traits;
}

absl::Status CheckLayouts(const CompiledSource& source, const CompiledSignature& fitted, const Signature& signature) {
  for (size_t i = 0; i < source.inputs.size(); ++i) {
    if (IsInCOrder(source.inputs[i]) || CanBeLaidOut(source.inputs[i])) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("the package takes ", ArgumentsOf(signature)[fitted.arguments[i]].spec.name,
                     " in an order in memory that cannot be made: export with example inputs that are contiguous "
                     "(x.contiguous())"));
  }
  return absl::OkStatus();
}

// Loads the code. The package's files are not needed afterwards.
absl::StatusOr<std::unique_ptr<AOTIModelContainerRunnerCpu>> LoadCode(const UnpackedPackage& package, int runners) {
  auto runner = std::make_unique<AOTIModelContainerRunnerCpu>(package.library.string(), static_cast<size_t>(runners));
  if (package.weights.has_value()) runner->update_constant_buffer_from_blob(package.weights->string());
  const bool wants_weights = !runner->getConstantNamesToOriginalFQNs().empty();
  if (wants_weights && runner->extract_constants_map(/*use_inactive=*/false).empty()) {
    return absl::FailedPreconditionError(
        "the package has no weights: compile it with them (package_constants_in_so = True)");
  }
  return runner;
}

// Throws what LibTorch throws.
absl::StatusOr<std::unique_ptr<Model>> LoadPackage(const std::string& file, const ModelConfig& config,
                                                   const ModelLoadOptions& options) {
  const Signature& signature = config.signature;
  if (absl::Status status = CheckIsNoScript(config); !status.ok()) return status;
  const c10::InferenceMode inference_mode;
  if (absl::Status status = CheckBytes(signature); !status.ok()) return status;
  const absl::StatusOr<UnpackedPackage> package = UnpackPackage(file, options.unpack_dir);
  if (!package.ok()) return package.status();
  absl::StatusOr<PackageTraits> traits = ReadTraits(*package, config.allow_parallel_regions);
  if (!traits.ok()) return traits.status();
  absl::StatusOr<CompiledSource> source = ReadCompiledSource(package->source);
  if (!source.ok()) return source.status();
  absl::StatusOr<std::unique_ptr<AOTIModelContainerRunnerCpu>> runner = LoadCode(*package, options.runners);
  if (!runner.ok()) return runner.status();
  const std::vector<std::string> specs = (*runner)->get_call_spec();
  const absl::StatusOr<std::vector<SpecLeaf>> inputs = ReadInputSpec(specs[0]);
  if (!inputs.ok()) return inputs.status();
  const absl::StatusOr<std::vector<SpecLeaf>> outputs = ReadOutputSpec(specs[1]);
  if (!outputs.ok()) return outputs.status();
  absl::StatusOr<CompiledSignature> fitted = FitSignature(*source, *inputs, *outputs, signature);
  if (!fitted.ok()) return fitted.status();
  if (absl::Status status = CheckLayouts(*source, *fitted, signature); !status.ok()) return status;
  Caveats caveats;
  if (!source->written_constants.empty()) {
    caveats.state = absl::StrCat("it writes to ", absl::StrJoin(source->written_constants, ", "));
  }
  if (traits->draws_random) caveats.chance = "it draws random numbers";
  std::vector<std::string> names;
  for (const TensorSpec& output : signature.outputs) names.push_back(output.name);
  return std::make_unique<AotInductorModel>(
      *std::move(runner),
      PackagePlan{*std::move(source), *std::move(fitted), std::move(names), *traits, std::move(caveats)});
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadAotInductor(const std::filesystem::path& file, const ModelConfig& config,
                                                       const ModelLoadOptions& options) {
  return CatchLoading([&] { return LoadPackage(file.string(), config, options); });
}

}  // namespace predictd
