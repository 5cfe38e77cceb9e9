#include "client/predictctl/row_collector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/tensor_builder.h"

namespace predictd {
namespace {

using ::testing::ElementsAre;

v1::RowsResult Result(std::int64_t first_row, const std::vector<float>& values) {
  v1::RowsResult result;
  result.set_first_row(first_row);
  result.set_row_count(static_cast<std::int64_t>(values.size()));
  *result.add_outputs() = *MakeTensor<float>("y", {result.row_count(), 1}, values);
  return result;
}

TEST(RowCollectorTest, RowsComeOutInOrder) {
  RowCollector collector;
  collector.Add(Result(3, {3}));
  collector.Add(Result(0, {0, 1}));
  collector.Add(Result(2, {2}));
  const absl::StatusOr<std::vector<v1::Tensor>> outputs = collector.Assemble(4);
  ASSERT_TRUE(outputs.ok()) << outputs.status();
  EXPECT_THAT(outputs->front().shape(), ElementsAre(4, 1));
  EXPECT_THAT(*TensorValues<float>(outputs->front()), ElementsAre(0, 1, 2, 3));
}

TEST(RowCollectorTest, MissingRowsAreCounted) {
  RowCollector collector;
  EXPECT_TRUE(collector.Assemble(0)->empty());
  collector.Add(Result(0, {0, 1}));
  EXPECT_EQ(collector.Assemble(5).status(), absl::DataLossError("outputs came for 2 of 5 rows"));
}

TEST(RowCollectorTest, OutputsThatDifferAreNotJoined) {
  v1::RowsResult other = Result(2, {2});
  other.mutable_outputs(0)->set_name("z");
  v1::RowsResult more = Result(2, {2});
  *more.add_outputs() = more.outputs(0);
  v1::RowsResult wider = Result(2, {2});
  *wider.mutable_outputs(0) = *MakeTensor<float>("y", {1, 2}, {2, 2});
  for (const v1::RowsResult& odd : {other, more, wider}) {
    RowCollector collector;
    collector.Add(Result(0, {0, 1}));
    collector.Add(odd);
    EXPECT_EQ(collector.Assemble(3).status().code(), absl::StatusCode::kInternal);
  }
}

}  // namespace
}  // namespace predictd
