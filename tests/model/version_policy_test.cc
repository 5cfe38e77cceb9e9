#include <gtest/gtest.h>

#include <vector>

#include "server/model/model_config.h"

namespace predictd {
namespace {

using Kind = VersionPolicy::Kind;

struct PolicyCase {
  VersionPolicy policy;
  std::vector<int64_t> existing;
  std::vector<int64_t> chosen;
  const char* error = nullptr;
};

std::ostream& operator<<(std::ostream& out, const PolicyCase& c) {
  return out << "of " << ShapeName(c.existing);
}

class VersionPolicyTest : public testing::TestWithParam<PolicyCase> {};

TEST_P(VersionPolicyTest, ChoosesNewestFirst) {
  const auto chosen = GetParam().policy.Choose(GetParam().existing);
  if (GetParam().error == nullptr) {
    ASSERT_TRUE(chosen.ok()) << chosen.status();
    EXPECT_EQ(*chosen, GetParam().chosen);
  } else {
    EXPECT_EQ(chosen.status(), absl::NotFoundError(GetParam().error));
  }
}

constexpr char kNone[] = "there is no version folder (a folder named 1, 2, ...)";

INSTANTIATE_TEST_SUITE_P(
    Table, VersionPolicyTest,
    testing::Values(
        PolicyCase{{Kind::kLatest, {}}, {1, 10, 9}, {10}}, PolicyCase{{Kind::kLatest, {}}, {1}, {1}},
        PolicyCase{{Kind::kLatest, {}}, {}, {}, kNone}, PolicyCase{{Kind::kAll, {}}, {2, 10, 1}, {10, 2, 1}},
        PolicyCase{{Kind::kAll, {}}, {}, {}, kNone}, PolicyCase{{Kind::kListed, {1, 3}}, {1, 2, 3}, {3, 1}},
        PolicyCase{{Kind::kListed, {3, 1, 3, 1}}, {1, 2, 3}, {3, 1}},
        PolicyCase{{Kind::kListed, {4}}, {1, 2, 3}, {}, "version_policy lists version 4, which has no folder"},
        PolicyCase{{Kind::kListed, {2, 5, 1}}, {1, 2}, {}, "version_policy lists version 5, which has no folder"},
        PolicyCase{{Kind::kListed, {1}}, {}, {}, kNone}));

}  // namespace
}  // namespace predictd
