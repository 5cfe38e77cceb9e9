#include "server/torch/operators.h"

#include <algorithm>
#include <cstddef>
#include <iterator>

namespace predictd {
namespace {

// Each of these lists is sorted.

constexpr std::string_view kRandom[] = {
    "aten::bernoulli",
    "aten::bernoulli_",
    "aten::binomial",
    "aten::cauchy_",
    "aten::exponential_",
    "aten::fractional_max_pool2d",
    "aten::fractional_max_pool3d",
    "aten::geometric_",
    "aten::log_normal_",
    "aten::manual_seed",
    "aten::multinomial",
    "aten::normal",
    "aten::normal_",
    "aten::poisson",
    "aten::rand",
    "aten::rand_like",
    "aten::randint",
    "aten::randint_like",
    "aten::randn",
    "aten::randn_like",
    "aten::random_",
    "aten::randperm",
    "aten::uniform_",
};
static_assert(std::is_sorted(std::begin(kRandom), std::end(kRandom)));

struct RandomIf {
  std::string_view operation;
  std::string_view argument;
};
constexpr RandomIf kRandomIf[] = {
    {"aten::alpha_dropout", "train"},
    {"aten::alpha_dropout_", "train"},
    {"aten::dropout", "train"},
    {"aten::dropout_", "train"},
    {"aten::feature_alpha_dropout", "train"},
    {"aten::feature_alpha_dropout_", "train"},
    {"aten::feature_dropout", "train"},
    {"aten::feature_dropout_", "train"},
    {"aten::gru", "train"},
    {"aten::lstm", "train"},
    {"aten::native_dropout", "train"},
    {"aten::rnn_relu", "train"},
    {"aten::rnn_tanh", "train"},
    {"aten::rrelu", "training"},
    {"aten::rrelu_", "training"},
    {"aten::scaled_dot_product_attention", "dropout_p"},
};
static_assert(std::is_sorted(std::begin(kRandomIf), std::end(kRandomIf),
                             [](const RandomIf& a, const RandomIf& b) { return a.operation < b.operation; }));

constexpr std::string_view kReturnsArgument[] = {
    "aten::alpha_dropout",
    "aten::atleast_1d",
    "aten::atleast_2d",
    "aten::atleast_3d",
    "aten::broadcast_tensors",
    "aten::copy",
    "aten::dict",
    "aten::dropout",
    "aten::feature_alpha_dropout",
    "aten::feature_dropout",
    "aten::items",
    "aten::list",
    "aten::meshgrid",
    "aten::type_as",
    "aten::wait",
};
static_assert(std::is_sorted(std::begin(kReturnsArgument), std::end(kReturnsArgument)));

template <size_t count>
bool IsAmong(const std::string_view (&names)[count], std::string_view name) {
  return std::binary_search(std::begin(names), std::end(names), name);
}

}  // namespace

bool DrawsRandomNumbers(std::string_view operation) {
  return IsAmong(kRandom, operation);
}

std::string_view DrawsIf(std::string_view operation) {
  const auto* const found =
      std::lower_bound(std::begin(kRandomIf), std::end(kRandomIf), operation,
                       [](const RandomIf& entry, std::string_view name) { return entry.operation < name; });
  return found != std::end(kRandomIf) && found->operation == operation ? found->argument : std::string_view();
}

bool MayReturnArgument(std::string_view operation) {
  return IsAmong(kReturnsArgument, operation);
}

}  // namespace predictd
