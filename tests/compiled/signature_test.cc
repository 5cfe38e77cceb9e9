#include "server/compiled/signature.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "server/compiled/layout.h"

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

// An extent that is always `text` if that is a number, and otherwise within its ends.
CompiledExtent Extent(const std::string& text, int64_t least = 2, int64_t most = std::numeric_limits<int64_t>::max()) {
  CompiledExtent extent{.least = least, .most = most, .size = SizeExpression::Parse(text)};
  extent.fixed = extent.size->constant();
  return extent;
}

CompiledInput Input(const std::string& name, const std::string& dtype, std::vector<CompiledExtent> extents) {
  CompiledInput input;
  input.name = name;
  input.dtype = dtype;
  input.extents = std::move(extents);
  return input;
}

TensorSpec Spec(const std::string& name, DType dtype, Shape shape) {
  TensorSpec spec;
  spec.name = name;
  spec.dtype = dtype;
  spec.shape = std::move(shape);
  return spec;
}

// A package of inputs by position and one output.
CompiledSource Source(std::vector<CompiledInput> inputs) {
  CompiledSource source;
  source.inputs = std::move(inputs);
  source.outputs = {0};
  return source;
}

std::vector<SpecLeaf> Positions(size_t count) {
  std::vector<SpecLeaf> leaves;
  for (size_t i = 0; i < count; ++i) leaves.push_back({std::to_string(i), "", true});
  return leaves;
}

Signature SignatureOf(std::vector<TensorSpec> inputs) {
  Signature signature;
  signature.inputs = std::move(inputs);
  signature.outputs = {Spec("y", DType::kFp32, {-1})};
  return signature;
}

// A batch of sequences that are padded to these lengths.
Signature Padded(std::vector<int64_t> buckets) {
  Signature signature = SignatureOf({Spec("tokens", DType::kInt64, {-1, -1})});
  signature.padding.lengths = {{0, "tokens", 1, std::move(buckets)}};
  signature.padding.inputs = {{0, 1, 0, {}}};
  return signature;
}

absl::StatusOr<CompiledSignature> Fit(const CompiledSource& source, const Signature& signature) {
  return FitSignature(source, Positions(source.inputs.size()), Positions(source.outputs.size()), signature);
}

std::string Refusal(const CompiledSource& source, const Signature& signature) {
  return std::string(Fit(source, signature).status().message());
}

CompiledSource Rows4(int64_t least = 2, int64_t most = 64) {
  return Source({Input("arg0_1", "float32", {Extent("s0", least, most), Extent("4L")})});
}

TEST(CompiledSignatureTest, APackageThatTakesWhatTheSignatureSaysFits) {
  const auto fitted = Fit(Rows4(), SignatureOf({Spec("x", DType::kFp32, {-1, 4})}));
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_THAT(fitted->arguments, ElementsAre(0));
  EXPECT_THAT(fitted->outputs, ElementsAre(0));
  EXPECT_THAT(fitted->limits.extents, IsEmpty());
}

TEST(CompiledSignatureTest, TypesRanksAndExtentsMustAgree) {
  EXPECT_EQ(Refusal(Rows4(), SignatureOf({Spec("x", DType::kFp16, {-1, 4})})),
            "the package takes x as FP32, model.toml says FP16");
  EXPECT_EQ(Refusal(Rows4(), SignatureOf({Spec("x", DType::kFp32, {-1, 4, 1})})),
            "the package takes x with 2 dimensions, model.toml says [-1,4,1]");
  EXPECT_EQ(Refusal(Rows4(), SignatureOf({Spec("x", DType::kFp32, {-1, 2})})),
            "dimension 1 of x is 4 in the package, 2 in model.toml");
  EXPECT_THAT(Refusal(Rows4(), SignatureOf({Spec("x", DType::kFp32, {-1, -1})})),
              HasSubstr("dimension 1 of x is 4 in the package, -1 (any) in model.toml"));
  EXPECT_EQ(
      Refusal(Source({Input("arg0_1", "complex64", {Extent("s0")})}), SignatureOf({Spec("x", DType::kFp32, {-1})})),
      "the package takes x as complex64, model.toml says FP32");
}

TEST(CompiledSignatureTest, ABatchOfEverySizeMustFit) {
  const Signature signature = SignatureOf({Spec("x", DType::kFp32, {-1, 4})});
  EXPECT_THAT(Refusal(Rows4(2, 63), signature), HasSubstr("at most 63 rows of x, model.toml batches up to 64"));
  EXPECT_THAT(Refusal(Rows4(3, 64), signature), HasSubstr("takes 3 to 64 rows of x, but a batch may have 1"));
  EXPECT_THAT(Refusal(Source({Input("arg0_1", "float32", {Extent("8L"), Extent("4L")})}), signature),
              HasSubstr("exactly 8 rows of x, model.toml batches 1 to 64"));
  EXPECT_THAT(Refusal(Source({Input("arg0_1", "float32", {Extent("2L*s0"), Extent("4L")})}), signature),
              HasSubstr("only multiples of 2 as rows of x"));
  EXPECT_THAT(Refusal(Source({Input("arg0_1", "float32", {Extent("s0"), Extent("s0")})}),
                      SignatureOf({Spec("x", DType::kFp32, {-1, -1})})),
              HasSubstr("dimension 1 of x must be as large as the batch"));
}

TEST(CompiledSignatureTest, TheSideOf16ThatAConvolutionsExampleWasOnIsNoLimit) {
  Signature signature = SignatureOf({Spec("x", DType::kFp32, {-1, 4})});
  signature.max_batch_size = 64;
  for (CompiledSource source : {Rows4(2, 15), Rows4(16, 64)}) {
    EXPECT_FALSE(Fit(source, signature).ok());
    source.convolves = true;
    EXPECT_TRUE(Fit(source, signature).ok());
  }
  CompiledSource source = Rows4(2, 14);
  source.convolves = true;
  EXPECT_THAT(Refusal(source, signature), HasSubstr("at most 14 rows"));
}

TEST(CompiledSignatureTest, EveryLengthThatIsPaddedToMustFit) {
  const auto source = [](CompiledExtent length) {
    return Source({Input("arg0_1", "int64", {Extent("s0"), std::move(length)})});
  };
  EXPECT_TRUE(Fit(source(Extent("s1", 2, 128)), Padded({2, 64, 128})).ok());
  EXPECT_THAT(Refusal(source(Extent("s1", 2, 128)), Padded({1, 64})), HasSubstr("is padded to 1 (pad_to)"));
  EXPECT_EQ(Refusal(source(Extent("s1", 2, 128)), Padded({128, 256})),
            "dimension 1 of tokens is padded to 256 (pad_to), the package takes 2 to 128");
  EXPECT_EQ(Refusal(source(Extent("s1", 16, 128)), Padded({8, 16})),
            "dimension 1 of tokens is padded to 8 (pad_to), the package takes 16 to 128");
  EXPECT_THAT(Refusal(source(Extent("8L*s1")), Padded({16, 20})),
              HasSubstr("padded to 20 (pad_to), the package takes multiples of 8"));
  EXPECT_TRUE(Fit(source(Extent("16L")), Padded({16})).ok());
  EXPECT_THAT(Refusal(source(Extent("16L")), Padded({8, 16})),
              HasSubstr("is 16 in the package, model.toml pads it to 8, 16"));
}

TEST(CompiledSignatureTest, AMaskIsAsLongAsWhatItBelongsTo) {
  Signature signature = Padded({16, 32});
  signature.padding.masks = {{0, 0, DType::kBool, "mask"}};
  CompiledSource source = Source(
      {Input("arg0_1", "bool", {Extent("s0"), Extent("s1")}), Input("arg1_1", "int64", {Extent("s0"), Extent("s1")})});
  const auto fitted = Fit(source, signature);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_THAT(fitted->limits.extents, IsEmpty()) << "it always is";
  source.inputs[0].dtype = "float32";
  EXPECT_EQ(Refusal(source, signature), "the package takes mask as FP32, model.toml says BOOL");
}

TEST(CompiledSignatureTest, OpenExtentsAreLimited) {
  const CompiledSource source = Source({Input("arg0_1", "float32", {Extent("s0"), Extent("s1", 4, 128)}),
                                        Input("arg1_1", "float32", {Extent("s1", 4, 128), Extent("s2")})});
  Signature signature = SignatureOf({Spec("a", DType::kFp32, {-1, -1}), Spec("b", DType::kFp32, {-1, -1})});
  signature.batched = false;
  const auto fitted = Fit(source, signature);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  const InputLimits& limits = fitted->limits;
  const auto errors = [&limits](Shape a, Shape b) {
    std::vector<std::string> messages;
    const Tensor inputs[] = {Tensor(DType::kFp32, std::move(a), nullptr, nullptr),
                             Tensor(DType::kFp32, std::move(b), nullptr, nullptr)};
    for (const LengthError& error : limits.Check({}, inputs)) messages.push_back(error.message);
    return messages;
  };
  EXPECT_THAT(errors({2, 5}, {5, 9}), IsEmpty());
  EXPECT_THAT(errors({2, 5}, {6, 9}), ElementsAre("expected 5 in dimension 0 to suit dimension 1 of a, got 6"));
  EXPECT_THAT(errors({2, 3}, {3, 9}),
              ElementsAre("expected 4 to 128 in dimension 1, got 3", "expected 4 to 128 in dimension 0, got 3"));
  EXPECT_THAT(errors({2, 129}, {5, 9}), ElementsAre("expected 4 to 128 in dimension 1, got 129"));
  Shape shape = {1, 1};
  limits.Raise(0, absl::MakeSpan(shape));
  EXPECT_EQ(shape, (Shape{2, 4})) << "what a warm-up has for it";
}

TEST(CompiledSignatureTest, ExtentsAreWhatOthersMakeOfThem) {
  // As long as a fixed one says, and one more.
  const CompiledSource source =
      Source({Input("arg0_1", "float32", {Extent("s1")}), Input("arg1_1", "float32", {Extent("s1 + 1L")}),
              Input("arg2_1", "float32", {Extent("2L*s2")})});
  Signature signature =
      SignatureOf({Spec("a", DType::kFp32, {3}), Spec("b", DType::kFp32, {-1}), Spec("c", DType::kFp32, {-1})});
  signature.batched = false;
  const auto fitted = Fit(source, signature);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  const auto errors = [&](int64_t b, int64_t c) {
    const Tensor inputs[] = {Tensor(DType::kFp32, {3}, nullptr, nullptr), Tensor(DType::kFp32, {b}, nullptr, nullptr),
                             Tensor(DType::kFp32, {c}, nullptr, nullptr)};
    return fitted->limits.Check({}, inputs);
  };
  EXPECT_THAT(errors(4, 6), IsEmpty());
  EXPECT_THAT(errors(3, 6), SizeIs(1));
  ASSERT_THAT(errors(4, 5), SizeIs(1));
  EXPECT_EQ(errors(4, 5)[0].message, "expected a multiple of 2 in dimension 0, got 5");
  signature.inputs[1].shape = {5};
  EXPECT_THAT(Refusal(source, signature), HasSubstr("dimension 0 of a and dimension 0 of b hang together"));
}

TEST(CompiledSignatureTest, TheLeastThatPyTorchWritesHoldsForWhatCallersChoose) {
  // Code for x[:, 1] has the same bound as code that takes any.
  const CompiledSource source = Source({Input("arg0_1", "float32", {Extent("s0"), Extent("s1")})});
  const auto fitted = Fit(source, SignatureOf({Spec("x", DType::kFp32, {-1, -1})}));
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  const auto errors = [&](Shape shape) {
    const Tensor inputs[] = {Tensor(DType::kFp32, std::move(shape), nullptr, nullptr)};
    return fitted->limits.Check({}, inputs);
  };
  EXPECT_THAT(errors({1, 2}), IsEmpty()) << "a single row";
  ASSERT_THAT(errors({3, 1}), SizeIs(1));
  EXPECT_EQ(errors({3, 1})[0].message, "expected at least 2 in dimension 1, got 1");
}

TEST(CompiledSignatureTest, TheLeastThatPyTorchWritesIsNoneForWhatIsFixed) {
  // Of an extent that is twice another it is 4.
  const CompiledSource source = Source({Input("arg0_1", "float32", {Extent("2L*s2", 4, 64), Extent("s3", 3, 8)})});
  Signature signature = SignatureOf({Spec("x", DType::kFp32, {2, 3})});
  signature.batched = false;
  EXPECT_TRUE(Fit(source, signature).ok());
  signature.inputs[0].shape = {2, 2};
  EXPECT_EQ(Refusal(source, signature), "dimension 1 of x is 2 in model.toml, the package takes 3 to 8");
}

TEST(CompiledSignatureTest, WhatIsNotKnownOfAnOpenExtentIsRefused) {
  CompiledSource source = Source({Input("arg0_1", "float32", {Extent("s0"), Extent("s1")})});
  source.inputs[0].extents[1].size.reset();
  const Signature signature = SignatureOf({Spec("x", DType::kFp32, {-1, -1})});
  EXPECT_THAT(Refusal(source, signature), HasSubstr("does not tell what dimension 1 of x depends on"));
  source.inputs[0].used = false;
  EXPECT_TRUE(Fit(source, signature).ok()) << "nobody looks at it";
}

TEST(CompiledSignatureTest, NamesPairInputsAndOutputs) {
  CompiledSource source =
      Source({Input("arg0_1", "int64", {Extent("s0")}), Input("arg1_1", "float32", {Extent("s0")})});
  source.outputs = {0, 1, 2};
  const std::vector<SpecLeaf> inputs = {{"0", "", true}, {"scale", "scale", false}};
  const std::vector<SpecLeaf> outputs = {{"low", "low", false}, {"high", "high", false}, {"n", "n", false}};
  Signature signature = SignatureOf({Spec("scale", DType::kFp32, {-1}), Spec("x", DType::kInt64, {-1})});
  signature.outputs = {Spec("high", DType::kFp32, {-1}), Spec("low", DType::kFp32, {-1})};
  const auto fitted = FitSignature(source, inputs, outputs, signature);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_THAT(fitted->arguments, ElementsAre(1, 0));
  EXPECT_THAT(fitted->outputs, ElementsAre(1, 0));
}

TEST(CompiledSignatureTest, NumbersAndNoneAreNoTensors) {
  // forward(None, x, 3, *, mask, scale), of which x and scale are tensors.
  CompiledSource source =
      Source({Input("arg1_1", "float32", {Extent("s0")}), Input("arg4_1", "float32", {Extent("s0")})});
  source.outputs = {0, 2};
  const std::vector<SpecLeaf> inputs = {
      {"0", "", true}, {"1", "", true}, {"2", "", true}, {"mask", "mask", false}, {"scale", "scale", false}};
  Signature signature = SignatureOf({Spec("scale", DType::kFp32, {-1}), Spec("x", DType::kFp32, {-1})});
  signature.outputs = {Spec("a", DType::kFp32, {-1}), Spec("b", DType::kFp32, {-1})};
  const auto fitted = FitSignature(source, inputs, Positions(3), signature);
  ASSERT_TRUE(fitted.ok()) << fitted.status();
  EXPECT_THAT(fitted->arguments, ElementsAre(1, 0));
  EXPECT_THAT(fitted->outputs, ElementsAre(0, 2)) << "the second is None";
}

TEST(CompiledLayoutTest, OrdersInMemoryAreTold) {
  CompiledInput input = Input("x", "float32", {Extent("s0"), Extent("3L"), Extent("s1")});
  const auto with_strides = [&input](const char* a, const char* b, const char* c) {
    input.strides = {SizeExpression::Parse(a), SizeExpression::Parse(b), SizeExpression::Parse(c)};
    return std::pair(IsInCOrder(input), CanBeLaidOut(input));
  };
  EXPECT_EQ(with_strides("3L*s1", "s1", "1L"), std::pair(true, true));
  EXPECT_EQ(with_strides("3L*s1", "1L", "3L"), std::pair(false, true)) << "channels last";
  EXPECT_EQ(with_strides("3L", "1L", "0L"), std::pair(false, false)) << "expanded";
  EXPECT_EQ(with_strides("6L*s1", "2L*s1", "2L"), std::pair(false, false)) << "with gaps";
}

}  // namespace
}  // namespace predictd
