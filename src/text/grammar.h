/// Constrained decoding: which tokens may come next so that the text stays one of a grammar's.
///
/// Goals: exactly the texts of the grammar, by byte, whatever the cut into tokens; never a place
/// from which no token leads on; a mask over 200,000 tokens in microseconds.
/// Non-goals: steering by anything but the text; left recursion.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"
#include "text/grammar/expression.h"
#include "text/grammar/stack_sets.h"
#include "text/grammar/state_tokens.h"
#include "text/grammar/token_trie.h"

namespace mm {

/// A compiled grammar over a vocabulary: immutable for those who use it; threads may share it.
class Grammar {
 public:
  /// Reads grammar text (docs/grammar.md). Throws kBadInput with line and reason, kTooLarge.
  static std::shared_ptr<const Grammar> from_text(std::string_view text,
                                                  std::shared_ptr<const TokenTrie> trie);
  /// Texts that are JSON values of a schema (docs/grammar.md has the keywords). Throws kBadInput
  /// for what is no schema, kUnsupported naming a keyword and its JSON pointer, kTooLarge.
  static std::shared_ptr<const Grammar> from_json_schema(std::string_view schema,
                                                         std::shared_ptr<const TokenTrie> trie);
  /// Texts that are JSON objects.
  static std::shared_ptr<const Grammar> any_json_object(std::shared_ptr<const TokenTrie> trie);

  Grammar(const grammar::RuleSet& rules, std::shared_ptr<const TokenTrie> trie);

  const TokenTrie& trie() const { return *trie_; }
  const grammar::Automaton& automaton() const { return automaton_; }
  const grammar::StateTokenTable& tokens() const { return tokens_; }

 private:
  std::shared_ptr<const TokenTrie> trie_;
  grammar::Automaton automaton_;
  grammar::StateTokenTable tokens_;
};

/// Where one text stands in a grammar.
class GrammarState {
 public:
  explicit GrammarState(std::shared_ptr<const Grammar> grammar);

  /// Sets the bit of every token that may come next, clears the others. `allowed`: bits by id, as
  /// many words as wanted, at least those of the vocabulary. None is set only if must_end().
  void find_allowed(std::span<uint64_t> allowed);
  /// Goes on behind a token that find_allowed() allows. Throws kInternal for another one; the state
  /// is then as before.
  void accept(int32_t id);

  /// Whether the text so far is one of the grammar.
  bool may_end() const { return sets_.may_end(place_); }
  /// Whether nothing can follow.
  bool must_end() const { return place_ == sets_.end(); }

 private:
  void add_fixed(const grammar::StateTokens& tokens, std::span<uint64_t> allowed) const;
  void add_outside(const grammar::StateTokens& tokens, int32_t callers,
                   std::span<uint64_t> allowed);

  std::shared_ptr<const Grammar> grammar_;
  grammar::StackSets sets_;
  int32_t place_;
  std::vector<int32_t> scratch_;
};

}  // namespace mm
