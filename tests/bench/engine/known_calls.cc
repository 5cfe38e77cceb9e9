#include "tests/bench/engine/known_calls.h"

#include <cmath>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace predictd::bench {
namespace {

constexpr float kTolerance = 1e-3F;

// Takes one message with its length off the front of `bytes`.
bool TakeMessage(absl::string_view& bytes, google::protobuf::Message& message) {
  uint32_t length = 0;
  if (bytes.size() < sizeof(length)) return false;
  std::memcpy(&length, bytes.data(), sizeof(length));
  bytes.remove_prefix(sizeof(length));
  if (bytes.size() < length || !message.ParseFromArray(bytes.data(), static_cast<int>(length))) return false;
  bytes.remove_prefix(length);
  return true;
}

bool IsClose(const std::string& bytes, const std::string& known) {
  if (bytes.size() != known.size()) return false;
  for (size_t at = 0; at + sizeof(float) <= bytes.size(); at += sizeof(float)) {
    float value = 0;
    float expected = 0;
    std::memcpy(&value, bytes.data() + at, sizeof(float));
    std::memcpy(&expected, known.data() + at, sizeof(float));
    // Written so that a NaN is not close.
    if (!(std::abs(value - expected) <= kTolerance * (1 + std::abs(expected)))) return false;
  }
  return true;
}

bool IsRightTensor(const v1::Tensor& tensor, const v1::Tensor& known) {
  if (tensor.name() != known.name() || tensor.dtype() != known.dtype() || tensor.shape_size() != known.shape_size()) {
    return false;
  }
  for (int i = 0; i < known.shape_size(); ++i) {
    if (tensor.shape(i) != known.shape(i)) return false;
  }
  return known.dtype() == v1::DATA_TYPE_FP32 ? IsClose(tensor.raw(), known.raw()) : tensor.raw() == known.raw();
}

}  // namespace

absl::StatusOr<std::vector<KnownCall>> ReadKnownCalls(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  absl::string_view rest = content;
  std::vector<KnownCall> calls;
  while (!rest.empty()) {
    KnownCall call;
    if (!TakeMessage(rest, call.request) || !TakeMessage(rest, call.answer)) {
      return absl::InvalidArgumentError(absl::StrCat(file, ": expected pairs of a request and its answer"));
    }
    calls.push_back(std::move(call));
  }
  if (calls.empty()) return absl::InvalidArgumentError(absl::StrCat(file, ": no calls, or it cannot be read"));
  return calls;
}

bool IsRightAnswer(const v1::PredictResponse& answer, const v1::PredictResponse& known) {
  if (answer.model_name() != known.model_name() || answer.outputs_size() != known.outputs_size()) return false;
  for (int i = 0; i < known.outputs_size(); ++i) {
    if (!IsRightTensor(answer.outputs(i), known.outputs(i))) return false;
  }
  return true;
}

}  // namespace predictd::bench
