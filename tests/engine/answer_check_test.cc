#include "server/engine/answer_check.h"

#include <gtest/gtest.h>

#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "server/model/element.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

std::string Check(FakeModel::Compute compute, Signature signature = FloatSignature()) {
  FakeModel fake(std::move(compute));
  const ManualClock clock;
  return CheckAnswers(*fake.Make(), signature, clock).wrong;
}

bool Contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

// The inputs plus `number`.
absl::StatusOr<std::vector<Tensor>> Plus(absl::Span<const Tensor> inputs, float number) {
  std::vector<float> values = Values(inputs[0]);
  for (float& value : values) value += number;
  return std::vector<Tensor>{Floats(inputs[0].shape(), values)};
}

TEST(AnswerCheckTest, SaysNothingOfAModelWhoseRowsAreTheirOwn) {
  EXPECT_EQ(Check(FakeModel::Echo), "");
}

TEST(AnswerCheckTest, FindsThatTheSameRequestGetsDifferentAnswers) {
  float runs = 0;
  EXPECT_TRUE(Contains(Check([&](absl::Span<const Tensor> inputs) { return Plus(inputs, ++runs); }), "different"));
}

TEST(AnswerCheckTest, FindsThatAnAnswerDependsOnTheRowsBesideIt) {
  const auto centred = [](absl::Span<const Tensor> inputs) {
    const std::vector<float> values = Values(inputs[0]);
    const float sum = std::accumulate(values.begin(), values.end(), 0.0F);
    return Plus(inputs, -sum / static_cast<float>(values.size()));
  };
  EXPECT_TRUE(Contains(Check(centred), "not independent"));
  EXPECT_EQ(Check(centred, FloatSignature(/*max_batch_size=*/1)), "") << "there are none";
}

TEST(AnswerCheckTest, FindsThatAnAnswerDependsOnOtherRequestsBefore) {
  std::vector<float> last;
  const auto remembers = [&](absl::Span<const Tensor> inputs) {
    const std::vector<float> values = Values(inputs[0]);
    const float number = last.empty() || last == values ? 0 : last[0];
    last = values;
    return Plus(inputs, number);
  };
  EXPECT_TRUE(Contains(Check(remembers, FloatSignature(/*max_batch_size=*/1)), "different"));
}

TEST(AnswerCheckTest, SaysNothingOfAModelThatTakesNoMadeUpRows) {
  EXPECT_EQ(Check([](absl::Span<const Tensor>) { return absl::InternalError("no"); }), "");
}

TEST(AnswerCheckTest, RoundingIsNoDifference) {
  float runs = 0;
  EXPECT_EQ(Check([&](absl::Span<const Tensor> inputs) { return Plus(inputs, ++runs * 1e-6F); }), "");
}

TEST(AnswerCheckTest, MadeUpRowsAreLikeThoseOfTheWarmUp) {
  Signature signature = FloatSignature();
  signature.inputs[0].warmup.shape = {-1, 3};
  signature.inputs[0].warmup.elements = {*ToElement(DType::kFp32, 5.0), *ToElement(DType::kFp32, 7.0)};
  int runs = 0;
  const auto look = [&](absl::Span<const Tensor> inputs) {
    ++runs;
    EXPECT_EQ(inputs[0].shape()[1], 3);
    const std::vector<float> values = Values(inputs[0]);
    if (runs == 1) {
      EXPECT_EQ(values, (std::vector<float>{5, 7, 5})) << "in the same order";
    }
    for (float value : values) EXPECT_TRUE(value == 5 || value == 7) << value;
    return FakeModel::Echo(inputs);
  };
  EXPECT_EQ(Check(look, signature), "");
  EXPECT_EQ(runs, 6);
}

TEST(AnswerCheckTest, MadeUpIndicesAreThoseOfTheWarmUp) {
  Signature signature = FloatSignature();
  signature.inputs[0].dtype = DType::kInt64;
  int runs = 0;
  const auto look = [&](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    ++runs;
    for (size_t i = 0; i < inputs[0].byte_size(); ++i) EXPECT_EQ(inputs[0].data()[i], std::byte{0});
    return absl::InternalError("seen");
  };
  EXPECT_EQ(Check(look, signature), "");
  EXPECT_EQ(runs, 1);
}

}  // namespace
}  // namespace predictd
