/// Random texts of a grammar, drawn through its masks.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar.h"

namespace mm::testing {

/// Whether the last quote of a beginning of JSON opens a string.
inline bool ends_in_string(const std::string& text) {
  bool inside = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') {
      inside = !inside;
    } else if (text[i] == '\\') {
      ++i;  // only strings have escapes
    }
  }
  return inside;
}

/// A text of tokens that the masks allow, drawn at random; after `hurry` tokens those that close
/// something are taken where they may. Empty if it has not come to an end after 5,000.
inline std::optional<std::string> walk(const std::shared_ptr<const Grammar>& grammar, uint32_t seed,
                                       int hurry) {
  const TokenTrie& trie = grammar->trie();
  GrammarState state(grammar);
  std::mt19937 random(seed);
  std::vector<uint64_t> words((static_cast<size_t>(trie.vocab_size()) + 63) / 64);
  std::string text;
  for (int step = 0; step < 5000; ++step) {
    if (state.must_end() || (state.may_end() && (step > hurry || random() % 4 == 0))) {
      return text;
    }
    state.find_allowed(words);
    std::vector<int32_t> ids;
    int32_t closing = -1;
    const bool in_string = ends_in_string(text);
    for (int32_t id = 0; id < trie.vocab_size(); ++id) {
      if ((words[static_cast<size_t>(id) / 64] >> (id % 64) & 1) != 0) {
        ids.push_back(id);
        const std::string_view token = trie.text(id);
        const bool closes = in_string ? token == "\"" : token == "}" || token == "]";
        if (closes || (token == "\"" && closing < 0)) {
          closing = id;
        }
      }
    }
    if (ids.empty()) {
      throw std::runtime_error("a dead end behind " + text);
    }
    const int32_t id = step > hurry && closing >= 0 ? closing : ids[random() % ids.size()];
    state.accept(id);
    text += trie.text(id);
  }
  return std::nullopt;
}

}  // namespace mm::testing
