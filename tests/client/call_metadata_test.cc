#include "client/call_metadata.h"

#include <gtest/gtest.h>

namespace predictd {
namespace {

TEST(CallMetadataTest, WhatHttp2AllowsPasses) {
  EXPECT_TRUE(CheckMetadata({}).ok());
  EXPECT_TRUE(CheckMetadata({{"x-a_b.9", "any printable ~ text"}, {"empty", ""}, {"x-bin", "\x01\xff"}}).ok());
}

TEST(CallMetadataTest, OtherKeysAndValuesAreRefused) {
  const Metadata kBad = {{"", "x"},     {"Upper", "x"}, {"with space", "x"}, {":path", "x"}, {"grpc-timeout", "1S"},
                         {"x", "a\nb"}, {"x", "\xff"},  {"x", "\x7f"}};
  for (const auto& pair : kBad) {
    EXPECT_TRUE(absl::IsInvalidArgument(CheckMetadata({pair}))) << pair.first << "=" << pair.second;
  }
}

}  // namespace
}  // namespace predictd
