#include "text/word_encoder.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>
#include <utility>

namespace mm {
namespace {

/// 65,536 lines are 4 MiB and hold the words of a library of novels; more gave no more speed.
constexpr size_t kMaxLines = 65536;
/// Below this a text repeats too few words to pay for the table.
constexpr size_t kMinLines = 32;
/// One line, which is two entries, for this many bytes of text: about six words.
constexpr size_t kBytesPerLine = 32;

/// Bytes of English text a token stands for, a little under: to reserve once.
constexpr size_t kBytesPerToken = 4;

/// [n]: keeps the first n of 16 bytes.
constexpr auto kMasks = [] {
  std::array<std::array<uint64_t, 2>, 17> masks{};
  for (size_t n = 0; n <= 16; ++n) {
    for (size_t byte = 0; byte < n; ++byte)
      masks[n][byte / 8] |= uint64_t{0xFF} << (8 * (byte % 8));
  }
  return masks;
}();

}  // namespace

WordEncoder::WordEncoder(const Bpe& bpe, const Vocabulary* vocabulary, size_t text_size)
    : bpe_(bpe), vocabulary_(vocabulary) {
  ids_.reserve(text_size / kBytesPerToken + 1);
  const size_t lines = std::bit_floor(std::min(text_size / kBytesPerLine, kMaxLines) | 1);
  if (lines < kMinLines)
    return;
  lines_.resize(lines);
  shift_ = 64 - std::countr_zero(lines);
}

void WordEncoder::encode(const WordBatch& batch) {
  std::array<Query, kRound> queries;
  for (size_t done = 0; done < batch.words.size();) {
    const size_t count = std::min(batch.words.size() - done, kRound);
    for (size_t i = 0; i < count; ++i)
      queries[i] = make_query(batch.words[done + i], batch.readable_end);
    for (size_t i = 0; i < count; ++i) look_up(queries[i]);
    done += count;
  }
}

inline WordEncoder::Query WordEncoder::make_query(std::string_view word, const char* readable_end) {
  if (word.size() > kKeyBytes || lines_.empty())
    return {word, {}, nullptr};
  std::array<uint64_t, 2> bytes{};
  if (static_cast<size_t>(readable_end - word.data()) >= kKeyBytes) [[likely]]
    std::memcpy(bytes.data(), word.data(), kKeyBytes);
  else
    std::memcpy(bytes.data(), word.data(), word.size());
  const Key key{bytes[0] & kMasks[word.size()][0], bytes[1] & kMasks[word.size()][1]};
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
  const uint64_t mixed = (key.low ^ (key.low >> 29)) * kMultiplier + key.high;
  Line* line = &lines_[((mixed ^ (mixed >> 29)) * kMultiplier) >> shift_];
  __builtin_prefetch(line);
  return {word, key, line};
}

inline void WordEncoder::look_up(const Query& query) {
  if (query.line == nullptr) {
    encode_afresh(query.word);
    return;
  }
  const auto& entries = query.line->entries;
  const auto differs = [&query](const Entry& entry) {
    return (entry.key.low ^ query.key.low) | (entry.key.high ^ query.key.high) |
           (entry.length ^ query.word.size());
  };
  const Entry* entry = &entries[differs(entries[0]) == 0 ? 0 : 1];
  if (differs(*entry) != 0) [[unlikely]] {
    encode_and_remember(query);
    return;
  }
  if (recent_count_ + kMaxIds > kRecent) [[unlikely]]
    flush();
  std::memcpy(recent_.data() + recent_count_, entry->ids.data(), sizeof(entry->ids));
  recent_count_ += entry->count;
}

void WordEncoder::encode_and_remember(const Query& query) {
  flush();
  const size_t before = ids_.size();
  encode_afresh(query.word);
  const size_t count = ids_.size() - before;
  if (count > kMaxIds)
    return;
  auto& entries = query.line->entries;
  entries[1] = entries[0];
  entries[0] = {
      query.key, static_cast<uint16_t>(query.word.size()), static_cast<uint16_t>(count), {}};
  std::copy(ids_.begin() + static_cast<ptrdiff_t>(before), ids_.end(), entries[0].ids.begin());
}

void WordEncoder::encode_afresh(std::string_view word) {
  flush();
  const auto id = vocabulary_ == nullptr ? std::nullopt : vocabulary_->find_bytes(word);
  if (id)
    ids_.push_back(*id);
  else
    bpe_.encode(word, ids_);
}

void WordEncoder::push(int32_t id) {
  flush();
  ids_.push_back(id);
}

std::vector<int32_t> WordEncoder::take() {
  flush();
  return std::move(ids_);
}

void WordEncoder::flush() {
  ids_.insert(ids_.end(), recent_.begin(), recent_.begin() + static_cast<ptrdiff_t>(recent_count_));
  recent_count_ = 0;
}

}  // namespace mm
