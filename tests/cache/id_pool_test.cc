#include "cache/id_pool.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

TEST(IdPool, HandsOutLowIdsFirstAndEachOnce) {
  IdPool pool(3);
  EXPECT_EQ(pool.take(), 0);
  EXPECT_EQ(pool.take(), 1);
  EXPECT_EQ(pool.take(), 2);
  EXPECT_EQ(pool.take(), -1);
  EXPECT_EQ(pool.free(), 0);
  pool.give(1);
  EXPECT_FALSE(pool.is_taken(1));
  EXPECT_EQ(pool.take(), 1);
}

TEST(IdPool, RefusesWhatIsNotTaken) {
  IdPool pool(2);
  EXPECT_THROW(pool.give(0), Error);
  EXPECT_THROW(pool.give(-1), Error);
  EXPECT_THROW(pool.give(2), Error);
  pool.give(pool.take());
  EXPECT_THROW(pool.give(0), Error);
}

TEST(IdPool, MayBeEmpty) {
  IdPool pool(0);
  EXPECT_EQ(pool.take(), -1);
}

}  // namespace
}  // namespace mm
