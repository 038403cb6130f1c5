/// Grammars over a vocabulary of bytes and a few longer tokens, for tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/text/tiny_tokenizer.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace mm::testing {

/// The 256 bytes and tokens made by these merges.
inline std::shared_ptr<const TokenTrie> make_trie(const Merges& merges = {}) {
  const Tokenizer tokenizer = Tokenizer::from_json(tiny_tokenizer(merges).dump(), "", "tiny");
  return std::make_shared<const TokenTrie>(tokenizer, std::vector<int32_t>());
}

/// Reads a text byte by byte.
class Reader {
 public:
  explicit Reader(const grammar::RuleSet& rules, const grammar::ByteSet& usable)
      : automaton_(rules, usable), sets_(automaton_) {}

  /// Whether a text of the grammar begins so.
  bool begins(std::string_view text) { return place_after(text) != grammar::StackSets::kDead; }
  /// Whether this is a text of the grammar.
  bool matches(std::string_view text) { return sets_.may_end(place_after(text)); }

 private:
  int32_t place_after(std::string_view text) {
    int32_t place = sets_.start();
    for (const char byte : text) {
      place = sets_.next(place, static_cast<uint8_t>(byte));
    }
    return place;
  }

  const grammar::Automaton automaton_;
  grammar::StackSets sets_;
};

inline grammar::ByteSet all_bytes() {
  return grammar::ByteSet().set();
}

}  // namespace mm::testing
