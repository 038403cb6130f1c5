/// Byte-pair encoding of one word.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/huge_pages.h"

namespace mm {

/// The merges of a vocabulary, and the rule that applies them.
///
/// A word begins as its bytes' tokens. While some neighbouring pair has a merge, the pair with the
/// lowest rank (the leftmost of equals) becomes one token. Built once by `add`, then immutable.
class Bpe {
 public:
  /// `byte_ids`: the token of each byte.
  explicit Bpe(const std::array<int32_t, 256>& byte_ids);

  /// Makes room for this many merges.
  void reserve(size_t merges);
  /// States that `left` and `right` become `merged`, at a lower priority than all pairs before. A
  /// pair stated twice keeps its last place. Throws kTooLarge after kMaxMerges.
  void add(int32_t left, int32_t right, int32_t merged);

  /// Appends the tokens of a word. Cost: O(n²) for short words, where that is quickest, O(n log n)
  /// for others. Throws kTooLarge for a word of 2 GiB.
  void encode(std::string_view word, std::vector<int32_t>& ids) const;

  /// The same by another road, for any length; public so that tests can compare the two.
  void encode_long(std::string_view word, std::vector<int32_t>& ids) const;

  /// Five times as many as the largest vocabulary in use has.
  static constexpr size_t kMaxMerges = (size_t{1} << 20) - 1;

 private:
  /// Ranks take 20 bits of a slot, so the highest can stand for "no merge".
  static constexpr int kRankBits = 20;
  static constexpr uint32_t kNoRank = (uint32_t{1} << kRankBits) - 1;
  static constexpr uint64_t kFree = ~uint64_t{0};
  struct LongWord;

  uint32_t rank_of(int32_t left, int32_t right) const;
  uint32_t rank_of_bytes(std::string_view word, size_t at) const;
  size_t slot_of(uint64_t pair) const {
    return static_cast<size_t>((pair * kMultiplier) >> shift_);
  }
  void encode_short(std::string_view word, std::vector<int32_t>& ids) const;
  void store(uint64_t pair, uint32_t rank);

  static constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
  std::array<int32_t, 256> byte_ids_;
  std::vector<int16_t> byte_of_;      ///< by token, -1 for tokens that are not single bytes
  std::vector<uint32_t> byte_ranks_;  ///< [left byte << 8 | right byte]: where every word begins
  std::vector<int32_t> merged_;       ///< by rank
  /// left << 42 | right << 20 | rank; open addressing, at most half full. Eight bytes a slot: words
  /// that are seen for the first time spend their time waiting for this table.
  HugeVector<uint64_t> slots_ = HugeVector<uint64_t>(2, kFree);
  int shift_ = 63;  ///< 64 - log2(slots_.size())
};

}  // namespace mm
