#include "server/model/signature.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

#include "tests/fakes/tensors.h"

namespace predictd {
namespace {

constexpr int64_t kHuge = std::numeric_limits<int64_t>::max();

struct ResolveCase {
  Shape spec;
  std::vector<int64_t> given;
  int64_t elements;
  // The shape, or the error.
  Shape resolved;
  const char* error = nullptr;
  bool allow_empty = false;
};

std::ostream& operator<<(std::ostream& out, const ResolveCase& c) {
  return out << ShapeName(c.spec) << " given " << ShapeName(c.given) << " with " << c.elements;
}

class ResolveShapeTest : public testing::TestWithParam<ResolveCase> {};

TEST_P(ResolveShapeTest, IsTheShapeOrSaysWhatWasExpected) {
  const ResolveCase& c = GetParam();
  const absl::StatusOr<Shape> resolved = ResolveShape({"x", DType::kFp32, c.spec, c.allow_empty}, c.given, c.elements);
  if (c.error == nullptr) {
    ASSERT_TRUE(resolved.ok()) << resolved.status();
    EXPECT_EQ(*resolved, c.resolved);
  } else {
    EXPECT_EQ(resolved.status(), absl::InvalidArgumentError(c.error));
  }
}

const ResolveCase kResolveCases[] = {
    // The given shape is right.
    {{-1, 4}, {2, 4}, 8, {2, 4}},
    {{-1, -1}, {3, 5}, 15, {3, 5}},
    {{2, 3}, {2, 3}, 6, {2, 3}},
    {{-1, 4}, {0, 4}, 0, {0, 4}, nullptr, true},
    {{-1, -1}, {5, 0}, 0, {5, 0}, nullptr, true},
    {{-1, -1}, {int64_t{1} << 31, 0}, 0, {int64_t{1} << 31, 0}, nullptr, true},
    // The shape is deduced.
    {{-1, 4}, {}, 8, {2, 4}},
    {{-1, 4}, {}, 0, {0, 4}, nullptr, true},
    {{-1}, {}, 3, {3}},
    {{2, -1, 2}, {}, 12, {2, 3, 2}},
    {{2, 3}, {}, 6, {2, 3}},
    // A scalar has an empty shape, given or not.
    {{}, {}, 1, {}},
    // The given shape is wrong.
    {{-1, 4}, {2, 5}, 10, {}, "expected shape [-1,4], got [2,5]"},
    {{-1, 4}, {8}, 8, {}, "expected shape [-1,4], got [8]"},
    {{-1, 4}, {2, 4, 1}, 8, {}, "expected shape [-1,4], got [2,4,1]"},
    {{-1, 4}, {-1, 4}, 8, {}, "expected shape [-1,4], got [-1,4]"},
    {{-1, 4}, {-2, 4}, 8, {}, "expected shape [-1,4], got [-2,4]"},
    {{-1, 4}, {2, 4}, 7, {}, "expected 8 elements for shape [2,4], got 7"},
    {{-1, 4}, {2, 4}, 0, {}, "expected 8 elements for shape [2,4], got 0"},
    {{-1, -1}, {kHuge, 2}, 2, {}, "expected too many elements for shape [9223372036854775807,2], got 2"},
    {{-1, -1},
     {int64_t{1} << 32, int64_t{1} << 32},
     0,
     {},
     "expected too many elements for shape [4294967296,4294967296], got 0"},
    // An extent of 0 makes the others cost nothing, so it is allowed only where the model asks for it, and then within
    // a limit.
    {{-1, 4}, {0, 4}, 0, {}, "expected shape [-1,4] with extents of at least 1, got [0,4]"},
    {{-1, 4}, {}, 0, {}, "expected at least 4 elements for shape [-1,4], got none"},
    {{-1, -1}, {kHuge, 0}, 0, {}, "expected shape [-1,-1] with extents of at least 1, got [9223372036854775807,0]"},
    {{-1, -1},
     {(int64_t{1} << 31) + 1, 0},
     0,
     {},
     "expected extents whose product is at most 2147483648 but for those of 0, got [2147483649,0]",
     true},
    {{-1, -1, -1},
     {kHuge, 0, kHuge},
     0,
     {},
     "expected extents whose product is at most 2147483648 but for those of 0, got "
     "[9223372036854775807,0,9223372036854775807]",
     true},
    {{}, {1}, 1, {}, "expected shape [], got [1]"},
    {{}, {}, 2, {}, "expected 1 elements for shape [], got 2"},
    {{}, {}, 0, {}, "expected 1 elements for shape [], got 0"},
    // The shape cannot be deduced.
    {{-1, -1}, {}, 6, {}, "expected a shape like [-1,-1], got none, and it leaves 2 dimensions open"},
    {{-1, 4}, {}, 7, {}, "expected a multiple of 4 elements for shape [-1,4], got 7"},
    {{2, 3}, {}, 5, {}, "expected 6 elements for shape [2,3], got 5"},
};

INSTANTIATE_TEST_SUITE_P(Table, ResolveShapeTest, testing::ValuesIn(kResolveCases));

struct OutputCase {
  const char* what;
  bool batched;
  int64_t rows;
  std::vector<Tensor> outputs;
  const char* error = nullptr;
};

std::ostream& operator<<(std::ostream& out, const OutputCase& c) {
  return out << c.what;
}

class CheckOutputsTest : public testing::TestWithParam<OutputCase> {};

TEST_P(CheckOutputsTest, SaysWhichPromiseIsBroken) {
  const OutputCase& c = GetParam();
  Signature signature;
  signature.batched = c.batched;
  signature.outputs = {{"scores", DType::kFp32, {-1, 2}}, {"label", DType::kBytes, {-1}}};
  const absl::Status status = CheckOutputs(signature, c.rows, {}, c.outputs);
  EXPECT_EQ(status, c.error == nullptr ? absl::OkStatus() : absl::InternalError(c.error)) << c.what;
}

INSTANTIATE_TEST_SUITE_P(
    Table, CheckOutputsTest,
    testing::Values(
        OutputCase{"right", true, 1, {Floats({1, 2}, {1, 2}), Strings({1}, {"a"})}},
        OutputCase{"no rows", true, 0, {Floats({0, 2}, {}), Strings({0}, {})}},
        OutputCase{"not batched: any extent", false, 1, {Floats({3, 2}, {1, 2, 3, 4, 5, 6}), Strings({1}, {"a"})}},
        OutputCase{"too few", true, 1, {Floats({1, 2}, {1, 2})}, "the model returned 1 outputs, its signature has 2"},
        OutputCase{"too many",
                   true,
                   1,
                   {Floats({1, 2}, {1, 2}), Strings({1}, {"a"}), Strings({1}, {"a"})},
                   "the model returned 3 outputs, its signature has 2"},
        OutputCase{"type",
                   true,
                   1,
                   {Floats({1, 2}, {1, 2}), Floats({1}, {1})},
                   "output label is FP32[1], its signature says BYTES[-1]"},
        OutputCase{"extent",
                   true,
                   1,
                   {Floats({1, 3}, {1, 2, 3}), Strings({1}, {"a"})},
                   "output scores is FP32[1,3], its signature says FP32[-1,2]"},
        OutputCase{"rank",
                   true,
                   2,
                   {Floats({2}, {1, 2}), Strings({2}, {"a", "b"})},
                   "output scores is FP32[2], its signature says FP32[-1,2]"},
        OutputCase{"rows",
                   true,
                   2,
                   {Floats({2, 2}, {1, 2, 3, 4}), Strings({1}, {"a"})},
                   "output label has 1 rows for an input of 2"}));

TEST(CheckOutputsTest, OnlyAnOptionalOutputMayLack) {
  Signature signature = {{{"x", DType::kFp32, {-1}}}, {{"y", DType::kFp32, {-1}}, {"z", DType::kFp32, {-1}}}};
  const std::vector<Tensor> inputs = {Floats({2}, {1, 2})};
  const std::vector<Tensor> outputs = {inputs[0], Tensor::Absent(DType::kFp32)};
  EXPECT_EQ(CheckOutputs(signature, 2, inputs, outputs), absl::InternalError("output z is not there"));
  signature.outputs[1].optional = true;
  EXPECT_TRUE(CheckOutputs(signature, 2, inputs, outputs).ok());
}

}  // namespace
}  // namespace predictd
