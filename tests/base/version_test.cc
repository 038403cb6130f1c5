#include "base/version.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace mm {
namespace {

TEST(Version, IsThreeNumbers) {
  EXPECT_THAT(version_string(), testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
}

TEST(Version, CommitIsAHashOrSaysThatItIsUnknown) {
  EXPECT_THAT(commit(), testing::MatchesRegex("[0-9a-f]+|unknown"));
}

}  // namespace
}  // namespace mm
