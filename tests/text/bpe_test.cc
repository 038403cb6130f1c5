#include "text/bpe.h"

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include <algorithm>
#include <map>

namespace mm {
namespace {

using Ids = std::vector<int32_t>;

std::array<int32_t, 256> identity() {
  std::array<int32_t, 256> ids{};
  for (size_t i = 0; i < ids.size(); ++i) ids[i] = static_cast<int32_t>(i);
  return ids;
}

/// Merges as a list; the token of merge i is 256 + i.
using Pairs = std::vector<std::pair<int32_t, int32_t>>;

Bpe make(const Pairs& pairs) {
  Bpe bpe(identity());
  for (size_t i = 0; i < pairs.size(); ++i)
    bpe.add(pairs[i].first, pairs[i].second, static_cast<int32_t>(256 + i));
  return bpe;
}

/// The definition in plain loops.
Ids reference(const Pairs& pairs, std::string_view word) {
  std::map<std::pair<int32_t, int32_t>, int32_t> ranks;
  for (size_t i = 0; i < pairs.size(); ++i) ranks[pairs[i]] = static_cast<int32_t>(i);
  Ids ids;
  for (const char byte : word) ids.push_back(static_cast<unsigned char>(byte));
  while (true) {
    size_t best = ids.size();
    int32_t best_rank = -1;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto found = ranks.find({ids[i], ids[i + 1]});
      if (found != ranks.end() && (best_rank < 0 || found->second < best_rank)) {
        best = i;
        best_rank = found->second;
      }
    }
    if (best == ids.size())
      return ids;
    ids[best] = 256 + best_rank;
    ids.erase(ids.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
}

TEST(Bpe, LowestRankThenLeftmost) {
  const Bpe bpe = make({{'b', 'c'}, {'a', 'b'}, {'a', 'a'}});
  Ids ids;
  bpe.encode("abc", ids);
  EXPECT_EQ(ids, (Ids{'a', 256}));
  ids.clear();
  bpe.encode("aaa", ids);
  EXPECT_EQ(ids, (Ids{258, 'a'}));
}

TEST(Bpe, APairStatedTwiceKeepsItsLastPlace) {
  const Bpe bpe = make({{'a', 'b'}, {'b', 'c'}, {'a', 'b'}});
  Ids ids;
  bpe.encode("abc", ids);
  EXPECT_EQ(ids, (Ids{'a', 257}));
}

TEST(Bpe, BothRoadsAgreeWithTheDefinition) {
  EXPECT_TRUE(rc::check([] {
    // Few letters and merges of merges, in no sensible order: ranks may fall as words grow.
    const auto size = *rc::gen::inRange<int32_t>(0, 12);
    Pairs pairs;
    for (int32_t i = 0; i < size; ++i) {
      const auto token = [&] {
        const auto merged = *rc::gen::inRange<int32_t>(0, size);
        return *rc::gen::element<int32_t>('a', 'b', 256 + merged);
      };
      const int32_t left = token();
      pairs.emplace_back(left, token());
    }
    const auto word = *rc::gen::resize(
        80, rc::gen::nonEmpty(rc::gen::container<std::string>(rc::gen::element('a', 'b'))));
    const Bpe bpe = make(pairs);
    const Ids expected = reference(pairs, word);
    Ids ids;
    bpe.encode(word, ids);
    RC_ASSERT(ids == expected);
    ids.clear();
    bpe.encode_long(word, ids);
    RC_ASSERT(ids == expected);
  }));
}

}  // namespace
}  // namespace mm
