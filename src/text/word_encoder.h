/// Encoding a stream of words with a memory for the frequent ones.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/huge_pages.h"
#include "text/bpe.h"
#include "text/pretokenizer.h"
#include "text/vocabulary.h"

namespace mm {

/// Encodes the words of one text; lives as long as one call, so that threads share nothing.
///
/// Words of natural text repeat: most are found in a table of short words and their ids. Its size
/// follows the text, so short texts do not pay for it. A batch of words is looked up in two rounds,
/// because the table of a long text is larger than the near caches: where to look, then what is
/// there.
class WordEncoder {
 public:
  /// `text_size`: bytes of all words to come, roughly. `vocabulary` is given when words that are
  /// tokens are taken whole, whatever the merges say, else null.
  WordEncoder(const Bpe& bpe, const Vocabulary* vocabulary, size_t text_size);

  /// Appends the ids of some words.
  void encode(const WordBatch& batch);

  /// Appends an id.
  void push(int32_t id);

  /// All ids; call once, at the end.
  std::vector<int32_t> take();

 private:
  static constexpr size_t kKeyBytes = 16;
  static constexpr size_t kMaxIds = 3;
  static constexpr size_t kRound = 32;  ///< words looked up together
  static constexpr size_t kRecent = 1024;

  /// The bytes of a short word, zero behind its end.
  struct Key {
    uint64_t low = 0;
    uint64_t high = 0;
  };
  struct Entry {
    Key key;
    uint16_t length = 0;  ///< of the word; 0 marks a free entry
    uint16_t count = 0;   ///< of ids
    std::array<int32_t, kMaxIds> ids{};
  };
  /// Two entries share a cache line; the newer is first.
  struct alignas(64) Line {
    std::array<Entry, 2> entries;
  };
  static_assert(sizeof(Line) == 64);
  /// A word on its way to the table.
  struct Query {
    std::string_view word;
    Key key;
    Line* line;  ///< null for words that are not remembered
  };

  Query make_query(std::string_view word, const char* readable_end);
  void look_up(const Query& query);
  void encode_and_remember(const Query& query);
  void encode_afresh(std::string_view word);
  void flush();

  const Bpe& bpe_;
  const Vocabulary* vocabulary_;
  HugeVector<Line> lines_;
  int shift_ = 0;  ///< 64 - log2(lines_.size())

  /// The latest ids: writing three and counting fewer is quicker here than in a vector.
  std::array<int32_t, kRecent> recent_;
  size_t recent_count_ = 0;
  std::vector<int32_t> ids_;
};

}  // namespace mm
