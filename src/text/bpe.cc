#include "text/bpe.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <limits>
#include <queue>
#include <utility>

#include "base/error.h"
#include "text/vocabulary.h"

namespace mm {
namespace {

/// Up to here, shifting small arrays beats keeping a heap.
constexpr size_t kShortWord = 48;

/// A pair of tokens in 44 bits: ids are below 2^22.
uint64_t pair_of(int32_t left, int32_t right) {
  return (static_cast<uint64_t>(static_cast<uint32_t>(left)) << 22) | static_cast<uint32_t>(right);
}
static_assert(kMaxTokenIds <= int64_t{1} << 22);

}  // namespace

Bpe::Bpe(const std::array<int32_t, 256>& byte_ids)
    : byte_ids_(byte_ids), byte_ranks_(256 * 256, kNoRank) {
  byte_of_.assign(static_cast<size_t>(*std::max_element(byte_ids.begin(), byte_ids.end())) + 1, -1);
  for (size_t byte = 0; byte < byte_ids.size(); ++byte)
    byte_of_[static_cast<size_t>(byte_ids[byte])] = static_cast<int16_t>(byte);
}

void Bpe::reserve(size_t merges) {
  const size_t wanted = std::bit_ceil(std::max<size_t>(merges * 2, 2));
  if (wanted <= slots_.size())
    return;
  merged_.reserve(merges);
  HugeVector<uint64_t> old(wanted, kFree);
  old.swap(slots_);
  shift_ = 64 - std::countr_zero(wanted);
  for (const uint64_t entry : old) {
    if (entry != kFree)
      store(entry >> kRankBits, static_cast<uint32_t>(entry & kNoRank));
  }
}

void Bpe::store(uint64_t pair, uint32_t rank) {
  size_t slot = slot_of(pair);
  while (slots_[slot] != kFree && slots_[slot] >> kRankBits != pair)
    slot = (slot + 1) & (slots_.size() - 1);
  slots_[slot] = (pair << kRankBits) | rank;
}

void Bpe::add(int32_t left, int32_t right, int32_t merged) {
  if (merged_.size() == kMaxMerges)
    raise(ErrorKind::kTooLarge, "more than {} merges", kMaxMerges);
  if ((merged_.size() + 1) * 2 > slots_.size())
    reserve(slots_.size());
  const auto rank = static_cast<uint32_t>(merged_.size());
  merged_.push_back(merged);
  store(pair_of(left, right), rank);
  const auto byte_of = [this](int32_t token) {
    const auto index = static_cast<size_t>(token);
    return index < byte_of_.size() ? byte_of_[index] : int16_t{-1};
  };
  if (byte_of(left) >= 0 && byte_of(right) >= 0)
    byte_ranks_[static_cast<size_t>(byte_of(left)) * 256 + static_cast<size_t>(byte_of(right))] =
        rank;
}

uint32_t Bpe::rank_of_bytes(std::string_view word, size_t at) const {
  return byte_ranks_[static_cast<size_t>(static_cast<unsigned char>(word[at])) * 256 +
                     static_cast<unsigned char>(word[at + 1])];
}

inline uint32_t Bpe::rank_of(int32_t left, int32_t right) const {
  const uint64_t pair = pair_of(left, right);
  size_t slot = slot_of(pair);
  while (slots_[slot] >> kRankBits != pair && slots_[slot] != kFree)
    slot = (slot + 1) & (slots_.size() - 1);
  return static_cast<uint32_t>(slots_[slot] & kNoRank);
}

void Bpe::encode(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.size() == 1)
    ids.push_back(byte_ids_[static_cast<unsigned char>(word[0])]);
  else if (word.size() <= kShortWord)
    encode_short(word, ids);
  else
    encode_long(word, ids);
}

void Bpe::encode_short(std::string_view word, std::vector<int32_t>& ids) const {
  std::array<int32_t, kShortWord> tokens;
  std::array<uint32_t, kShortWord> ranks;  // [i]: of the pair (i, i + 1)
  size_t count = word.size();
  for (size_t i = 0; i < count; ++i) tokens[i] = byte_ids_[static_cast<unsigned char>(word[i])];
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = rank_of_bytes(word, i);
  while (count > 1) {
    const size_t pairs = count - 1;
    size_t best = 0;
    for (size_t i = 1; i < pairs; ++i) best = ranks[i] < ranks[best] ? i : best;
    if (ranks[best] == kNoRank)
      break;
    tokens[best] = merged_[ranks[best]];
    for (size_t i = best + 1; i < pairs; ++i) {
      tokens[i] = tokens[i + 1];
      ranks[i - 1] = ranks[i];
    }
    --count;
    if (best > 0)
      ranks[best - 1] = rank_of(tokens[best - 1], tokens[best]);
    if (best + 1 < count)
      ranks[best] = rank_of(tokens[best], tokens[best + 1]);
  }
  ids.insert(ids.end(), tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(count));
}

/// A linked list of tokens and a heap of the pairs that may merge. Heap entries are not removed
/// when a pair changes: a popped entry counts only if its rank is still the pair's.
struct Bpe::LongWord {
  static constexpr uint32_t kEnd = ~uint32_t{0};
  struct Node {
    int32_t token;
    uint32_t previous;
    uint32_t next;
    uint32_t rank;  ///< of the pair of this node and the next
  };
  const Bpe& bpe;
  std::vector<Node> nodes;
  /// rank << 32 | node: the lowest rank first, the leftmost of equals.
  std::priority_queue<uint64_t, std::vector<uint64_t>, std::greater<>> heap;

  static uint64_t heap_entry(uint32_t rank, uint32_t index) {
    return (static_cast<uint64_t>(rank) << 32) | index;
  }
  void update(uint32_t index) {
    Node& node = nodes[index];
    node.rank = node.next == kEnd ? kNoRank : bpe.rank_of(node.token, nodes[node.next].token);
    if (node.rank != kNoRank)
      heap.push(heap_entry(node.rank, index));
  }
  void merge_with_next(uint32_t index) {
    Node& node = nodes[index];
    Node& gone = nodes[node.next];
    node.token = bpe.merged_[node.rank];
    node.next = gone.next;
    gone.rank = kNoRank;
    if (node.next != kEnd)
      nodes[node.next].previous = index;
    update(index);
    if (node.previous != kEnd)
      update(node.previous);
  }
};

void Bpe::encode_long(std::string_view word, std::vector<int32_t>& ids) const {
  if (word.empty())
    return;
  if (word.size() > static_cast<size_t>(std::numeric_limits<int32_t>::max()))
    raise(ErrorKind::kTooLarge, "a single word of {} bytes is too long to encode", word.size());
  const auto count = static_cast<uint32_t>(word.size());
  LongWord list{*this, std::vector<LongWord::Node>(count), {}};
  std::vector<uint64_t> pairs;
  for (uint32_t i = 0; i < count; ++i) {
    const uint32_t rank = i + 1 < count ? rank_of_bytes(word, i) : kNoRank;
    list.nodes[i] = {byte_ids_[static_cast<unsigned char>(word[i])],
                     i == 0 ? LongWord::kEnd : i - 1, i + 1 == count ? LongWord::kEnd : i + 1,
                     rank};
    if (rank != kNoRank)
      pairs.push_back(LongWord::heap_entry(rank, i));
  }
  list.heap = decltype(list.heap)(std::greater<>(), std::move(pairs));
  while (!list.heap.empty()) {
    const uint64_t entry = list.heap.top();
    list.heap.pop();
    const auto index = static_cast<uint32_t>(entry);
    if (list.nodes[index].rank == entry >> 32)
      list.merge_with_next(index);
  }
  for (uint32_t i = 0; i != LongWord::kEnd; i = list.nodes[i].next)
    ids.push_back(list.nodes[i].token);
}

}  // namespace mm
