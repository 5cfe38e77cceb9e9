#include "client/predictctl/model_details.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <sstream>

#include "absl/strings/str_split.h"

namespace predictd {
namespace {

v1::Model Parse(const char* text) {
  v1::Model model;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &model));
  return model;
}

std::string Details(const v1::Model& model) {
  std::ostringstream out;
  PrintDetails(model, out);
  return out.str();
}

TEST(ModelDetailsTest, TellsWhatARequestMustKeepTo) {
  const v1::Model model = Parse(R"(
      name: "encoder" kind: MODEL_KIND_TENSOR batched: true max_batch_size: 64
      versions { version: 1 state: MODEL_STATE_READY backend: "torchscript" }
      inputs { name: "tokens" dtype: DATA_TYPE_INT64 shape: [-1, -1] range { least: "0" most: "30521" } pad_to: [16, 32, 64] }
      inputs { name: "types" dtype: DATA_TYPE_INT64 shape: [-1, -1] pad_like: "tokens" }
      inputs { name: "extra" dtype: DATA_TYPE_FP32 shape: [-1, -1] allow_empty: true optional: true }
      outputs { name: "hidden" dtype: DATA_TYPE_FP32 shape: [-1, -1, 8] unpad: "tokens" }
      masks { name: "mask" dtype: DATA_TYPE_BOOL mask_of: "tokens" }
      limits { max_message_bytes: 67108864 queue_capacity: 1024 queue_bytes: 1000 max_queue_delay { nanos: 2000000 }
               preferred_batch_sizes: [8, 16] max_deadline { seconds: 60 } default_deadline { seconds: 1 nanos: 500000000 }
               response_cache_bytes: 1048576 })");
  EXPECT_EQ(Details(model),
            "encoder\n"
            "tensor model, batched: the first dimension counts rows, at most 64 in a request\n"
            "versions\n"
            "  VERSION  STATE  BACKEND\n"
            "  1        ready  torchscript\n"
            "inputs\n"
            "  NAME    TYPE          NOTES\n"
            "  tokens  INT64[-1,-1]  from 0 to 30521, filled up to 16, 32 or 64\n"
            "  types   INT64[-1,-1]  as long as tokens\n"
            "  extra   FP32[-1,-1]   optional, may be empty\n"
            "masks, which the server makes\n"
            "  NAME  TYPE         NOTES\n"
            "  mask  BOOL[-1,-1]  which of tokens was sent\n"
            "outputs\n"
            "  NAME    TYPE           NOTES\n"
            "  hidden  FP32[-1,-1,8]  as long as tokens\n"
            "limits\n"
            "  a request has at most 64 MiB\n"
            "  1024 requests may wait, with 1000 bytes of inputs\n"
            "  a batch waits up to 2ms for more rows, but not with 8 or 16\n"
            "  the deadline is at most 1m\n"
            "  a call without a deadline gets 1.5s\n"
            "  answers are kept, 1 MiB for each version\n");
}

TEST(ModelDetailsTest, AFolderWithoutVersionsSaysWhy) {
  EXPECT_EQ(Details(Parse(R"(name: "m" versions { state: MODEL_STATE_FAILED reason: "inputs[0].dtype: unknown" })")),
            "m\n"
            "versions\n"
            "  VERSION  STATE   BACKEND\n"
            "  -        failed\n"
            "  failed: inputs[0].dtype: unknown\n");
}

TEST(ModelDetailsTest, AModelThatIsNotLoadedSaysHowToLoadIt) {
  EXPECT_EQ(Details(Parse(R"(name: "m" versions { version: 1 state: MODEL_STATE_UNLOADED })")),
            "m\n"
            "not loaded: predictctl load m\n"
            "versions\n"
            "  VERSION  STATE     BACKEND\n"
            "  1        unloaded\n");
}

TEST(ModelDetailsTest, LongReasonsAreBrokenBetweenWords) {
  std::string reason;
  for (int i = 0; i < 60; ++i) reason += "word ";
  v1::Model model = Parse(R"(versions { version: 3 state: MODEL_STATE_FAILED })");
  model.mutable_versions(0)->set_reason(reason + "\x1b end");
  std::ostringstream out;
  PrintReasons(model, "m ", out);
  const std::vector<std::string> lines = absl::StrSplit(out.str(), '\n');
  EXPECT_EQ(lines[0].substr(0, 18), "m 3 failed: word w");
  EXPECT_EQ(lines[1].substr(0, 9), "    word ");
  EXPECT_THAT(out.str(), ::testing::HasSubstr("\\x1b end\n"));
  for (const std::string& line : lines) EXPECT_LE(line.size(), kScreenColumns);
}

}  // namespace
}  // namespace predictd
