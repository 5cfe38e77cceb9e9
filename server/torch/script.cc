#include "server/torch/script.h"

#include <c10/core/InferenceMode.h>
#include <torch/script.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "server/async/mutex.h"
#include "server/torch/arguments.h"
#include "server/torch/effects.h"
#include "server/torch/errors.h"
#include "server/torch/file.h"
#include "server/torch/graph.h"
#include "server/torch/outputs.h"

namespace predictd {
namespace {

using torch::jit::Method;
using torch::jit::Module;

bool HasHooks(const Module& module) {
  return !module.type()->getForwardHooks().empty() || !module.type()->getForwardPreHooks().empty();
}

// A copy of the module whose parameters are leaves, like the module's.
Module CopyOf(const Module& module) {
  const auto copied = [&module] {
    const at::NoGradGuard no_grad;
    return module.deepcopy();
  };
  Module copy = copied();
  const auto originals = module.attributes();
  auto original = originals.begin();
  for (const c10::IValue& value : copy.attributes()) {
    const c10::IValue from = *original;
    ++original;
    if (!value.isTensor() || !from.isTensor() || !value.toTensor().defined()) continue;
    if (from.toTensor().requires_grad()) value.toTensor().requires_grad_();
  }
  return copy;
}

// Whether `method` is the method itself or one of its overloads, which are named forward__0, forward__1 and so on.
bool IsOverload(absl::string_view method, absl::string_view name) {
  if (method == name) return true;
  return absl::ConsumePrefix(&method, name) && absl::ConsumePrefix(&method, "__") && !method.empty() &&
         std::all_of(method.begin(), method.end(), absl::ascii_isdigit);
}

class TorchScriptModel final : public Model {
 public:
  struct Parts {
    ArgumentPlan arguments;
    OutputPlan outputs;
    MethodEffects effects;
    bool inference_mode = true;
    bool hooks = false;
  };

  TorchScriptModel(Module module, Method method, Parts parts)
      : module_(std::move(module)),
        method_(std::move(method)),
        parts_(std::move(parts)),
        cost_depends_on_shapes_only_(!parts_.hooks && parts_.arguments.tensors_only() &&
                                     CostDependsOnShapesOnly(method_)),
        caveats_{.state = parts_.effects.state, .chance = parts_.effects.chance},
        one_at_a_time_(!caveats_.state.empty()) {
    const c10::InferenceMode inference_mode(parts_.inference_mode);
    if (!caveats_.state.empty()) fresh_ = CopyOf(module_);
  }

  absl::StatusOr<std::vector<Tensor>> Run(absl::Span<const Tensor> inputs) override {
    return CatchAll([&]() -> absl::StatusOr<std::vector<Tensor>> {
      const c10::InferenceMode inference_mode(parts_.inference_mode);
      std::vector<c10::IValue> arguments = parts_.arguments.Make(inputs, parts_.effects.writes_arguments);
      if (!one_at_a_time_) return parts_.outputs.Convert(Call(std::move(arguments)), /*unshare=*/false);
      MutexLock lock(state_mutex_);
      return parts_.outputs.Convert(Call(std::move(arguments)), /*unshare=*/true);
    });
  }
  bool cost_depends_on_shapes_only() const override { return cost_depends_on_shapes_only_ && !one_at_a_time_; }
  const Caveats& caveats() const override { return caveats_; }
  void RunOneAtATime() override { one_at_a_time_ = true; }

  void ForgetRuns() override {
    if (!fresh_.has_value()) return;
    module_ = *std::move(fresh_);
    method_ = module_.get_method(method_.name());
    fresh_.reset();
  }

 private:
  c10::IValue Call(std::vector<c10::IValue> arguments) {
    if (parts_.hooks) return module_(std::move(arguments));
    if (!parts_.effects.forks) return method_(std::move(arguments));
    // Tasks run where they are started: LibTorch's own threads for them do not have this thread's modes, and would be
    // more than there are cores.
    const auto run_here = [](const std::function<void()>& task) { task(); };
    const auto future = method_.run_async(std::move(arguments), {}, run_here);
    future->waitAndThrow();
    return future->value();
  }

  Module module_;
  Method method_;
  // The module as it was loaded; kept until the warm-up is over.
  std::optional<Module> fresh_;
  const Parts parts_;
  const bool cost_depends_on_shapes_only_;
  const Caveats caveats_;
  // Whether the method writes to the module's state: two runs at once would corrupt it.
  bool one_at_a_time_;
  // Held during each run of such a method.
  Mutex state_mutex_;
};

Module Read(const std::string& file, bool inference_mode) {
  const c10::InferenceMode mode(inference_mode);
  Module module = torch::jit::load(file, c10::kCPU);
  module.eval();
  return module;
}

// The methods of that name: several if it is overloaded, as those of nn.LSTM and nn.GRU are.
absl::StatusOr<std::vector<Method>> FindMethods(const Module& module, const std::string& name) {
  std::vector<Method> found;
  std::vector<std::string> names;
  for (const Method& method : module.get_methods()) {
    names.push_back(method.name());
    if (IsOverload(method.name(), name)) found.push_back(method);
  }
  if (!found.empty()) return found;
  return absl::FailedPreconditionError(
      absl::StrCat("the module has no method ", name,
                   names.empty() ? ", nor any other" : absl::StrCat("; there are ", absl::StrJoin(names, ", ")),
                   names.empty() ? "" : " (method = \"...\" in model.toml chooses one)"));
}

absl::StatusOr<TorchScriptModel::Parts> PlanCall(const Module& module, const Method& method,
                                                 const Signature& signature) {
  const c10::FunctionSchema& schema = method.function().getSchema();
  absl::StatusOr<ArgumentPlan> arguments = ArgumentPlan::Create(schema, signature);
  if (!arguments.ok()) return arguments.status();
  const bool hooks = method.name() == "forward" && HasHooks(module);
  const bool known = !hooks && schema.returns().size() == 1;
  absl::StatusOr<OutputPlan> outputs =
      OutputPlan::Create(known ? schema.returns()[0].type() : c10::AnyType::get(), signature);
  if (!outputs.ok()) return outputs.status();
  return TorchScriptModel::Parts{.arguments = *std::move(arguments),
                                 .outputs = *std::move(outputs),
                                 .effects = InspectEffects(module, method),
                                 .hooks = hooks};
}

// Throws what LibTorch throws.
absl::StatusOr<std::unique_ptr<Model>> LoadModule(const std::string& file, const ModelConfig& config) {
  if (absl::Status status = CheckTorchScriptFile(file); !status.ok()) return status;
  const bool inference_mode = config.inference_mode.value_or(true);
  Module module = Read(file, inference_mode);
  const absl::StatusOr<std::vector<Method>> methods = FindMethods(module, config.method);
  if (!methods.ok()) return methods.status();
  absl::Status misfit;
  for (const Method& method : *methods) {
    absl::StatusOr<TorchScriptModel::Parts> parts = PlanCall(module, method, config.signature);
    if (!parts.ok()) {
      misfit.Update(parts.status());
      continue;
    }
    parts->inference_mode = inference_mode;
    if (parts->effects.differentiates && !config.inference_mode.has_value()) {
      // Tensors that were created in inference mode can never have gradients.
      parts->inference_mode = false;
      module = Read(file, parts->inference_mode);
    }
    // The module is not frozen: freezing gains nothing that is safe, and loses what LibTorch looks at when an operator
    // fails.
    return std::make_unique<TorchScriptModel>(module, module.get_method(method.name()), *std::move(parts));
  }
  return misfit;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Model>> LoadTorchScript(const std::filesystem::path& file, const ModelConfig& config,
                                                       const ModelLoadOptions& /*options*/) {
  return CatchLoading([&] { return LoadModule(file.string(), config); });
}

}  // namespace predictd
