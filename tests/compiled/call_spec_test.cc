#include "server/compiled/call_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace predictd {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kLeaf = R"({"type": null, "context": null, "children_spec": []})";

std::string Tuple(const std::string& children) {
  return R"({"type": "builtins.tuple", "context": "null", "children_spec": [)" + children + "]}";
}

std::string Dict(const std::string& keys, const std::string& children) {
  return R"({"type": "builtins.dict", "context": ")" + keys + R"(", "children_spec": [)" + children + "]}";
}

std::string Spec(const std::string& tree) {
  return "[1, " + tree + "]";
}

std::vector<std::string> Paths(const absl::StatusOr<std::vector<SpecLeaf>>& leaves) {
  std::vector<std::string> paths;
  if (!leaves.ok()) return {std::string(leaves.status().message())};
  for (const SpecLeaf& leaf : *leaves) paths.push_back(leaf.path + (leaf.ordered ? "" : "!"));
  return paths;
}

TEST(CallSpecTest, LeavesHaveTheirPaths) {
  const std::string nested = Dict(R"([\"low\", \"n\"])", kLeaf + ", " + Tuple(kLeaf + ", " + kLeaf));
  EXPECT_THAT(Paths(ReadOutputSpec(Spec(nested))), ElementsAre("low!", "n.0!", "n.1!"));
  EXPECT_THAT(Paths(ReadOutputSpec(Spec(kLeaf))), ElementsAre(""));
  EXPECT_THAT(Paths(ReadOutputSpec(Spec(Tuple(kLeaf + ", " + Tuple(kLeaf + ", " + kLeaf))))),
              ElementsAre("0", "1.0", "1.1"));
}

TEST(CallSpecTest, OtherKindsOfDictsHaveKeysToo) {
  const std::string leaves = R"(, "children_spec": [)" + kLeaf + ", " + kLeaf + "]}";
  EXPECT_THAT(Paths(ReadOutputSpec(Spec(R"({"type": "m.Out", "context": "[[\"b\", \"a\"], [\"none\"]]")" + leaves))),
              ElementsAre("b!", "a!"));
  EXPECT_THAT(Paths(ReadOutputSpec(
                  Spec(R"({"type": "collections.defaultdict", "context": {"dict_context": ["z", 3]})" + leaves))),
              ElementsAre("z!", "3!"));
  EXPECT_THAT(Paths(ReadOutputSpec(Spec(R"({"type": "collections.namedtuple", "context": "\"m.Pair\"")" + leaves))),
              ElementsAre("0", "1"));
}

TEST(CallSpecTest, KeywordArgumentsFollowTheOthers) {
  const std::string inputs =
      Tuple(Tuple(kLeaf + ", " + Dict(R"([\"a\"])", kLeaf)) + ", " + Dict(R"([\"scale\"])", kLeaf));
  EXPECT_THAT(Paths(ReadInputSpec(Spec(inputs))), ElementsAre("0", "1.a!", "scale!"));
}

TEST(CallSpecTest, OtherTextsAreRefused) {
  std::string deep = kLeaf;
  for (int i = 0; i < 200; ++i) deep = Tuple(deep);
  for (const std::string& text :
       {std::string(), std::string("{}"), std::string("[1]"), Spec("[]"), Spec("{}"),
        Spec(R"({"type": "t", "children_spec": 3})"), Spec(deep), std::string("[1, {\"type")}) {
    EXPECT_EQ(ReadOutputSpec(text).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 40);
    EXPECT_EQ(ReadInputSpec(text).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 40);
  }
}

std::vector<SpecLeaf> Leaves() {
  return {{"0", "", true}, {"1", "", true}, {"d.key", "key", false}, {"scale", "scale", false}};
}

TEST(MatchNamesTest, NamesComeBeforePlaces) {
  EXPECT_THAT(MatchNames({"scale", "x", "key", "y"}, Leaves(), "input", true).value(), ElementsAre(3, 0, 2, 1));
  EXPECT_THAT(MatchNames({"1", "x"}, Leaves(), "output", false).value(), ElementsAre(1, 0));
}

TEST(MatchNamesTest, WhatHasANameIsNotTakenByItsPlace) {
  const absl::Status status = MatchNames({"x", "y", "key", "factor"}, Leaves(), "input", true).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("'factor', which the package has not; it has: 0, 1, d.key, scale"));
}

TEST(MatchNamesTest, AnArgumentMayBeCalledByItsOwnName) {
  const std::vector<SpecLeaf> leaves = {{"0.a", "a", false}, {"0.b", "b", false}, {"1.0", "", true}, {"1.1", "", true}};
  EXPECT_THAT(MatchNames({"d.b", "d.a", "xs.1", "xs.0"}, leaves, "input", true).value(), ElementsAre(1, 0, 3, 2));
}

TEST(MatchNamesTest, TwoNamesDoNotMeanTheSame) {
  const std::vector<SpecLeaf> leaves = {{"0.key", "key", false}, {"1", "", true}};
  for (const char* other : {"key", "0.key"}) {
    const absl::Status status = MatchNames({"d.key", other, "x"}, leaves, "input", true).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(std::string(status.message()), HasSubstr(absl::StrCat("'", other, "', but another name")));
  }
}

TEST(MatchNamesTest, AllInputsMustBeGiven) {
  EXPECT_THAT(std::string(MatchNames({"x", "y", "key"}, Leaves(), "input", true).status().message()),
              HasSubstr("the package has the input 'scale', which model.toml has not"));
  EXPECT_THAT(std::string(MatchNames({"x", "scale", "key"}, Leaves(), "input", true).status().message()),
              HasSubstr("the package takes 4 inputs, model.toml has 3"));
  EXPECT_TRUE(MatchNames({"x"}, Leaves(), "output", false).ok()) << "an output may be left out";
}

TEST(MatchNamesTest, ANameThatSeveralHaveIsNobodys) {
  const std::vector<SpecLeaf> leaves = {{"a.x", "x", false}, {"b.x", "x", false}};
  EXPECT_FALSE(MatchNames({"x"}, leaves, "output", false).ok());
  EXPECT_THAT(MatchNames({"b.x"}, leaves, "output", false).value(), ElementsAre(1));
}

}  // namespace
}  // namespace predictd
