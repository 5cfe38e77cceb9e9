#include "server/torch/graph.h"

#include <torch/csrc/jit/ir/ir.h>
#include <torch/csrc/jit/passes/inliner.h>

#include <algorithm>
#include <iterator>
#include <memory>
#include <string_view>

namespace predictd {
namespace {

using torch::jit::Block;
using torch::jit::Node;

// Sorted. Loops and branches are included, because their bounds and conditions are numbers, and nothing in this list
// makes a number from a tensor's elements.
constexpr std::string_view kKnown[] = {
    "aten::__and__",
    "aten::__getitem__",
    "aten::__is__",
    "aten::__isnot__",
    "aten::__not__",
    "aten::__or__",
    "aten::_convolution",
    "aten::abs",
    "aten::adaptive_avg_pool1d",
    "aten::adaptive_avg_pool2d",
    "aten::add",
    "aten::add_",
    "aten::addmm",
    "aten::alias",
    "aten::all",
    "aten::amax",
    "aten::amin",
    "aten::any",
    "aten::append",
    "aten::arange",
    "aten::argmax",
    "aten::argmin",
    "aten::avg_pool1d",
    "aten::avg_pool2d",
    "aten::baddbmm",
    "aten::batch_norm",
    "aten::bmm",
    "aten::cat",
    "aten::chunk",
    "aten::clamp",
    "aten::clamp_",
    "aten::clamp_max",
    "aten::clamp_min",
    "aten::clone",
    "aten::contiguous",
    "aten::conv1d",
    "aten::conv2d",
    "aten::conv3d",
    "aten::cos",
    "aten::detach",
    "aten::dim",
    "aten::div",
    "aten::div_",
    "aten::dropout",
    "aten::elu",
    "aten::elu_",
    "aten::embedding",
    "aten::empty",
    "aten::eq",
    "aten::erf",
    "aten::exp",
    "aten::expand",
    "aten::expand_as",
    "aten::flatten",
    "aten::floor",
    "aten::floor_divide",
    "aten::floordiv",
    "aten::format",
    "aten::full",
    "aten::gather",
    "aten::ge",
    "aten::gelu",
    "aten::glu",
    "aten::group_norm",
    "aten::gt",
    "aten::hardsigmoid",
    "aten::hardswish",
    "aten::hardtanh",
    "aten::index_select",
    "aten::isfinite",
    "aten::isnan",
    "aten::layer_norm",
    "aten::le",
    "aten::leaky_relu",
    "aten::leaky_relu_",
    "aten::len",
    "aten::linear",
    "aten::log",
    "aten::log1p",
    "aten::log_sigmoid",
    "aten::log_softmax",
    "aten::logical_and",
    "aten::logical_not",
    "aten::logical_or",
    "aten::lt",
    "aten::masked_fill",
    "aten::matmul",
    "aten::max",
    "aten::max_pool1d",
    "aten::max_pool2d",
    "aten::maximum",
    "aten::mean",
    "aten::min",
    "aten::minimum",
    "aten::mish",
    "aten::mish_",
    "aten::mm",
    "aten::mul",
    "aten::mul_",
    "aten::narrow",
    "aten::ne",
    "aten::neg",
    "aten::ones",
    "aten::ones_like",
    "aten::permute",
    "aten::pow",
    "aten::prelu",
    "aten::reciprocal",
    "aten::relu",
    "aten::relu6",
    "aten::relu_",
    "aten::remainder",
    "aten::repeat",
    "aten::reshape",
    "aten::rsqrt",
    "aten::rsub",
    "aten::scaled_dot_product_attention",
    "aten::select",
    "aten::selu",
    "aten::selu_",
    "aten::sigmoid",
    "aten::silu",
    "aten::silu_",
    "aten::sin",
    "aten::size",
    "aten::slice",
    "aten::softmax",
    "aten::softplus",
    "aten::split",
    "aten::split_with_sizes",
    "aten::sqrt",
    "aten::square",
    "aten::squeeze",
    "aten::stack",
    "aten::std",
    "aten::sub",
    "aten::sub_",
    "aten::sum",
    "aten::t",
    "aten::tanh",
    "aten::to",
    "aten::transpose",
    "aten::tril",
    "aten::triu",
    "aten::type_as",
    "aten::unbind",
    "aten::unflatten",
    "aten::unsqueeze",
    "aten::unsqueeze_",
    "aten::var",
    "aten::view",
    "aten::warn",
    "aten::zeros",
    "aten::zeros_like",
    "prim::Constant",
    "prim::DictConstruct",
    "prim::GetAttr",
    "prim::If",
    "prim::ListConstruct",
    "prim::ListUnpack",
    "prim::Loop",
    "prim::NumToTensor",
    "prim::RaiseException",
    "prim::TupleConstruct",
    "prim::TupleIndex",
    "prim::TupleUnpack",
    "prim::Uninitialized",
    "prim::device",
    "prim::dtype",
    "prim::max",
    "prim::min",
    "prim::unchecked_cast",
};
static_assert(std::is_sorted(std::begin(kKnown), std::end(kKnown)));

// Those among them that make a number from a tensor's shape or presence.
constexpr std::string_view kAboutTensors[] = {"aten::__is__", "aten::__isnot__", "aten::dim",
                                              "aten::format", "aten::len",       "aten::size"};
static_assert(std::is_sorted(std::begin(kAboutTensors), std::end(kAboutTensors)));

template <size_t count>
bool Contains(const std::string_view (&names)[count], const Node& node) {
  return std::binary_search(std::begin(names), std::end(names), std::string_view(node.kind().toQualString()));
}

bool HasTensors(const c10::Type& type) {
  if (type.isSubtypeOf(*c10::TensorType::get())) return true;
  const auto contained = type.containedTypes();
  return std::any_of(contained.begin(), contained.end(), [](const auto& inner) { return HasTensors(*inner); });
}

bool IsOfTensors(const torch::jit::Value* value) {
  return HasTensors(*value->type());
}

bool TakesTensors(const Node& node) {
  return std::any_of(node.inputs().begin(), node.inputs().end(), IsOfTensors);
}

// The operator that compares numbers also compares two lists of tensors, for which it reads all elements.
bool MakesNumberOfTensor(const Node& node) {
  if (!node.kind().is_aten() || Contains(kAboutTensors, node)) return false;
  return TakesTensors(node) && !std::all_of(node.outputs().begin(), node.outputs().end(), IsOfTensors);
}

bool IsKnown(const Node& node) {
  // Tracing makes a tensor from an extent, and then a number from that tensor.
  if (node.kind() == c10::Symbol::fromQualString("aten::Int")) {
    return node.input(0)->node()->kind() == c10::prim::NumToTensor;
  }
  // With a single argument it searches elements.
  if (node.kind() == c10::Symbol::fromQualString("aten::where")) return node.inputs().size() == 3;
  // It writes text, and turning a tensor into text reads all of its elements.
  if (node.kind() == c10::Symbol::fromQualString("aten::warn")) return !TakesTensors(node);
  return Contains(kKnown, node) && !MakesNumberOfTensor(node);
}

bool AllKnown(const Block& block) {
  for (const Node* node : block.nodes()) {
    if (!IsKnown(*node)) return false;
    for (const Block* inner : node->blocks()) {
      if (!AllKnown(*inner)) return false;
    }
  }
  return true;
}

}  // namespace

bool CostDependsOnShapesOnly(const torch::jit::Method& method) {
  const std::shared_ptr<torch::jit::Graph> graph = method.graph()->copy();
  torch::jit::Inline(*graph);
  return AllKnown(*graph->block());
}

}  // namespace predictd
