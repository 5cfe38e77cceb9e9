#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <vector>

#include "server/engine/batch.h"
#include "tests/engine/runner_fixture.h"

namespace predictd {
namespace {

constexpr float kPad = -1;

// Inputs: x FP32[-1,-1], padded to 4 or 8 with -1; a mask of it; like FP32[-1,2,-1], of the same length; and free
// FP32[-1,-1]. Output: y FP32[-1,-1], cut back to x.
Signature MakeSignature() {
  Signature signature;
  signature.inputs = {
      {"x", DType::kFp32, {-1, -1}}, {"like", DType::kFp32, {-1, 2, -1}}, {"free", DType::kFp32, {-1, -1}}};
  signature.outputs = {{"y", DType::kFp32, {-1, -1}}};
  signature.padding.lengths = {{0, "x", 1, {4, 8}}};
  ElementBytes pad{};
  std::memcpy(pad.data(), &kPad, sizeof(kPad));
  signature.padding.inputs = {{0, 1, 0, pad}, {1, 2, 0}};
  signature.padding.masks = {{1, 0, DType::kFp32}};
  signature.padding.outputs = {{0, 1, 0}};
  return signature;
}

// Rows of that length, filled with that value.
InferenceRequest Request(int64_t rows, int64_t length, float value, int64_t free = 1) {
  const auto filled = [value](Shape shape) { return Floats(shape, std::vector<float>(*ElementCount(shape), value)); };
  InferenceRequest request;
  request.rows = rows;
  request.inputs = {filled({rows, length}), filled({rows, 2, length}), filled({rows, free})};
  return request;
}

std::vector<std::shared_ptr<Job>> Jobs(std::vector<InferenceRequest> requests) {
  std::vector<std::shared_ptr<Job>> jobs;
  for (InferenceRequest& request : requests) jobs.push_back(std::make_shared<Job>(std::move(request)));
  return jobs;
}

struct ShareCase {
  const char* what;
  InferenceRequest a;
  InferenceRequest b;
  bool share;
};

std::ostream& operator<<(std::ostream& out, const ShareCase& c) {
  return out << c.what;
}

class PaddedKeyTest : public testing::TestWithParam<ShareCase> {};

TEST_P(PaddedKeyTest, IsThatOfTheBuckets) {
  const Signature signature = MakeSignature();
  EXPECT_EQ(KeyOf(GetParam().a, signature) == KeyOf(GetParam().b, signature), GetParam().share);
}

INSTANTIATE_TEST_SUITE_P(
    Table, PaddedKeyTest,
    testing::Values(ShareCase{"equal lengths", Request(1, 3, 0), Request(2, 3, 0), true},
                    ShareCase{"lengths of one bucket", Request(1, 1, 0), Request(1, 4, 0), true},
                    ShareCase{"of the next bucket", Request(1, 5, 0), Request(1, 8, 0), true},
                    ShareCase{"nothing at all and a full bucket", Request(1, 0, 0), Request(1, 4, 0), true},
                    ShareCase{"lengths of two buckets", Request(1, 4, 0), Request(1, 5, 0), false},
                    ShareCase{"another extent that is not padded", Request(1, 3, 0, 1), Request(1, 3, 0, 2), false}));

TEST(PaddedStackTest, RowsAreFilledUpAndMasked) {
  const auto jobs = Jobs({Request(1, 2, 5), Request(2, 3, 6)});
  BatchBuffers buffers;
  const std::vector<Tensor> arguments = StackInputs(jobs, MakeSignature().padding, buffers);
  ASSERT_EQ(arguments.size(), 4U);
  EXPECT_EQ(arguments[0].shape(), (Shape{3, 4}));
  EXPECT_EQ(Values(arguments[0]), (std::vector<float>{5, 5, -1, -1, 6, 6, 6, -1, 6, 6, 6, -1}));
  EXPECT_EQ(arguments[1].shape(), (Shape{3, 4}));
  EXPECT_EQ(Values(arguments[1]), (std::vector<float>{1, 1, 0, 0, 1, 1, 1, 0, 1, 1, 1, 0}));
  EXPECT_EQ(arguments[2].shape(), (Shape{3, 2, 4}));
  EXPECT_EQ(Values(arguments[2]),
            (std::vector<float>{5, 5, 0, 0, 5, 5, 0, 0, 6, 6, 6, 0, 6, 6, 6, 0, 6, 6, 6, 0, 6, 6, 6, 0}));
  EXPECT_EQ(Values(arguments[3]), (std::vector<float>{5, 6, 6}));
}

TEST(PaddedStackTest, SingleRequestIsPaddedToItsBucket) {
  BatchBuffers buffers;
  const auto jobs = Jobs({Request(1, 5, 7)});
  const std::vector<Tensor> arguments = StackInputs(jobs, MakeSignature().padding, buffers);
  EXPECT_EQ(Values(arguments[0]), (std::vector<float>{7, 7, 7, 7, 7, -1, -1, -1}));
  EXPECT_EQ(Values(arguments[1]), (std::vector<float>{1, 1, 1, 1, 1, 0, 0, 0}));
  EXPECT_EQ(arguments[3].data(), jobs[0]->request.inputs[2].data()) << "what is not padded is not copied";
}

TEST(PaddedStackTest, SingleRequestThatFillsItsBucketIsNotCopied) {
  BatchBuffers buffers;
  const auto jobs = Jobs({Request(1, 4, 7)});
  const std::vector<Tensor> arguments = StackInputs(jobs, MakeSignature().padding, buffers);
  EXPECT_EQ(arguments[0].data(), jobs[0]->request.inputs[0].data());
  EXPECT_EQ(Values(arguments[1]), (std::vector<float>{1, 1, 1, 1}));
}

TEST(PaddedStackTest, RequestOfNoLengthIsAllPadding) {
  BatchBuffers buffers;
  const auto jobs = Jobs({Request(1, 0, 7), Request(1, 1, 8)});
  const std::vector<Tensor> arguments = StackInputs(jobs, MakeSignature().padding, buffers);
  EXPECT_EQ(Values(arguments[0]), (std::vector<float>{-1, -1, -1, -1, 8, -1, -1, -1}));
  EXPECT_EQ(Values(arguments[1]), (std::vector<float>{0, 0, 0, 0, 1, 0, 0, 0}));
}

// A model whose y is x minus its mean over the elements that the mask shows, and 1000 elsewhere: a value that must
// never become visible.
absl::StatusOr<std::vector<Tensor>> LessMean(absl::Span<const Tensor> inputs) {
  const std::vector<float> x = Values(inputs[0]);
  const std::vector<float> mask = Values(inputs[1]);
  const auto length = static_cast<size_t>(inputs[0].shape()[1]);
  std::vector<float> y(x.size(), 1000);
  for (size_t row = 0; row < x.size(); row += length) {
    float sum = 0;
    float count = 0;
    for (size_t i = row; i < row + length; ++i) {
      sum += x[i] * mask[i];
      count += mask[i];
    }
    for (size_t i = row; i < row + length; ++i) {
      if (mask[i] == 1) y[i] = x[i] - sum / count;
    }
  }
  return std::vector<Tensor>{Floats(inputs[0].shape(), y)};
}

class PaddedRunnerTest : public RunnerTest {
 protected:
  PaddedRunnerTest() : RunnerTest(LessMean) {}

  static InferenceRequest Ramp(int64_t rows, int64_t length) {
    InferenceRequest request = Request(rows, length, 0);
    std::vector<float> values;
    for (int64_t i = 0; i < rows * length; ++i) values.push_back(static_cast<float>(i));
    request.inputs[0] = Floats({rows, length}, values);
    return request;
  }
};

TEST_F(PaddedRunnerTest, AnswerHasTheRequestsOwnLength) {
  const auto runner = MakeRunner(MakeSignature());
  const PendingInference call(*runner, Ramp(2, 3));
  ASSERT_TRUE(call.Await().ok()) << call.AwaitStatus();
  const Tensor& y = call.Await()->outputs[0];
  EXPECT_EQ(y.shape(), (Shape{2, 3}));
  EXPECT_EQ(Values(y), (std::vector<float>{-1, 0, 1, -1, 0, 1}));
}

TEST_F(PaddedRunnerTest, LengthsOfABucketRunTogetherAndAnswerAsAlone) {
  const auto runner = MakeRunner(MakeSignature());
  const std::vector<int64_t> lengths = {1, 2, 3, 4, 0};
  std::vector<std::vector<float>> alone;
  for (const int64_t length : lengths) {
    const PendingInference call(*runner, Ramp(2, length));
    alone.push_back(Values(call.Await()->outputs[0]));
  }
  const size_t runs = model_.batch_rows().size();
  model_.Block();
  const PendingInference occupant(*runner, Ramp(1, 8));
  model_.AwaitRuns(runs + 1);
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (const int64_t length : lengths) calls.push_back(std::make_unique<PendingInference>(*runner, Ramp(2, length)));
  model_.Release();
  for (size_t i = 0; i < lengths.size(); ++i) {
    const InferenceResult& result = *calls[i]->Await();
    EXPECT_EQ(result.timings.batch_rows, 10);
    EXPECT_EQ(result.outputs[0].shape(), (Shape{2, lengths[i]}));
    EXPECT_EQ(Values(result.outputs[0]), alone[i]) << "length " << lengths[i];
  }
}

TEST_F(RunnerTest, BatchesUseTheSameMemoryAgain) {
  std::vector<const std::byte*> places;
  FakeModel model([&places](absl::Span<const Tensor> inputs) -> absl::StatusOr<std::vector<Tensor>> {
    places.push_back(inputs[0].data());
    return std::vector<Tensor>{Floats(inputs[0].shape(), Values(inputs[0]))};
  });
  const auto runner =
      std::make_shared<ModelRunner>(model.Make(), FloatSignature(), ModelRunner::Options{}, pool_, clock_);
  for (size_t round = 0; round < 20; ++round) {
    model.Block();
    const PendingInference occupant(*runner, OneRow(0));
    model.AwaitRuns(2 * round + 1);
    const PendingInference a(*runner, OneRow(1));
    const PendingInference b(*runner, OneRow(2));
    model.Release();
    EXPECT_EQ(Values(a.Await()->outputs[0]), std::vector<float>{1});
    EXPECT_EQ(Values(b.Await()->outputs[0]), std::vector<float>{2});
  }
  for (size_t i = 3; i < places.size(); i += 2) EXPECT_EQ(places[i], places[1]) << "batch " << i / 2;
  pool_.Stop();
}

// The echo's outputs are the batch's own memory.
TEST_F(RunnerTest, MemoryThatAnAnswerSharesIsNotUsedAgain) {
  const auto runner = MakeRunner();
  std::vector<std::unique_ptr<PendingInference>> calls;
  for (int i = 0; i < 10; ++i) {
    const size_t runs = model_.batch_rows().size();
    model_.Block();
    const PendingInference occupant(*runner, OneRow(0));
    model_.AwaitRuns(runs + 1);
    for (int j = 0; j < 2; ++j) {
      calls.push_back(std::make_unique<PendingInference>(*runner, OneRow(static_cast<float>(2 * i + j))));
    }
    model_.Release();
    EXPECT_EQ(calls.back()->Await()->timings.batch_rows, 2);
  }
  for (size_t i = 0; i < calls.size(); ++i) {
    EXPECT_EQ(Values(calls[i]->Await()->outputs[0]), std::vector<float>{static_cast<float>(i)});
  }
}

class WrongLengthTest : public RunnerTest {
 protected:
  WrongLengthTest()
      : RunnerTest([](absl::Span<const Tensor>) -> absl::StatusOr<std::vector<Tensor>> {
          return std::vector<Tensor>{Floats({1, 3}, {1, 2, 3})};
        }) {}
};

TEST_F(WrongLengthTest, OutputThatIsNotAsLongAsTheBucketIsInternal) {
  const auto runner = MakeRunner(MakeSignature());
  const PendingInference call(*runner, Request(1, 3, 0));
  EXPECT_EQ(call.AwaitStatus(), absl::InternalError("output y has 3 in dimension 1, where x was padded to 4"));
}

}  // namespace
}  // namespace predictd
