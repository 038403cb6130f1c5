#include "text/grammar.h"

#include <algorithm>

#include "base/check.h"
#include "text/grammar/grammar_text.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/trie_walk.h"

namespace mm {
namespace {

/// About a second: all states of typical schemas. Others are found when met.
constexpr int64_t kPrepareSteps = 100'000'000;

/// Sets of stacks remembered at once: about a kilobyte each.
constexpr int32_t kMaxSets = 16'384;

void set_bits(std::span<const int32_t> ids, std::span<uint64_t> allowed) {
  for (const int32_t id : ids) {
    allowed[static_cast<size_t>(id) / 64] |= uint64_t{1} << (id % 64);
  }
}

}  // namespace

std::shared_ptr<const Grammar> Grammar::from_text(std::string_view text,
                                                  std::shared_ptr<const TokenTrie> trie) {
  return std::make_shared<const Grammar>(grammar::parse_grammar_text(text), std::move(trie));
}

std::shared_ptr<const Grammar> Grammar::from_json_schema(std::string_view schema,
                                                         std::shared_ptr<const TokenTrie> trie) {
  return std::make_shared<const Grammar>(grammar::json_schema_rules(schema), std::move(trie));
}

std::shared_ptr<const Grammar> Grammar::any_json_object(std::shared_ptr<const TokenTrie> trie) {
  return from_json_schema(R"({"type": "object"})", std::move(trie));
}

Grammar::Grammar(const grammar::RuleSet& rules, std::shared_ptr<const TokenTrie> trie)
    : trie_(std::move(trie)),
      automaton_(rules, trie_->single_bytes()),
      tokens_(automaton_, *trie_) {
  tokens_.prepare(kPrepareSteps);
}

GrammarState::GrammarState(std::shared_ptr<const Grammar> grammar)
    : grammar_(std::move(grammar)), sets_(grammar_->automaton()), place_(sets_.start()) {}

void GrammarState::add_fixed(const grammar::StateTokens& tokens,
                             std::span<uint64_t> allowed) const {
  set_bits(tokens.ids, allowed);
  for (size_t word = 0; word < tokens.bits.size(); ++word) {
    allowed[word] |= tokens.bits[word];
  }
}

void GrammarState::add_outside(const grammar::StateTokens& tokens, int32_t callers,
                               std::span<uint64_t> allowed) {
  const int32_t outside = sets_.go_on(sets_.frames(callers));
  const TokenTrie& trie = grammar_->trie();
  for (size_t byte = 0; byte < 256; ++byte) {
    const uint32_t begin = tokens.outside[byte];
    const uint32_t end = tokens.outside[byte + 1];
    const int32_t next =
        begin < end ? sets_.next(outside, static_cast<uint8_t>(byte)) : grammar::StackSets::kDead;
    if (next == grammar::StackSets::kDead) {
      continue;
    }
    for (uint32_t i = begin; i < end; ++i) {
      set_bits(trie.tokens(tokens.nodes[i]), allowed);
      walk_below(trie, tokens.nodes[i], sets_, next, scratch_,
                 [&](uint32_t node, int32_t) { set_bits(trie.tokens(node), allowed); });
    }
  }
}

void GrammarState::find_allowed(std::span<uint64_t> allowed) {
  MM_CHECK(static_cast<int64_t>(allowed.size()) * 64 >= grammar_->trie().vocab_size());
  std::fill(allowed.begin(), allowed.end(), 0);
  for (const grammar::Frame& frame : sets_.frames(place_)) {
    if (!sets_.is_state(frame)) {
      continue;
    }
    const grammar::StateTokens& tokens = grammar_->tokens().at(frame.state);
    add_fixed(tokens, allowed);
    if (!tokens.outside.empty()) {
      add_outside(tokens, frame.callers, allowed);
    }
  }
}

void GrammarState::accept(int32_t id) {
  const std::string_view bytes = grammar_->trie().text(id);
  int32_t place = bytes.empty() ? grammar::StackSets::kDead : place_;
  for (const char byte : bytes) {
    place = sets_.next(place, static_cast<uint8_t>(byte));
  }
  MM_CHECK(place != grammar::StackSets::kDead, "token {} does not follow in the grammar", id);
  place_ = sets_.size() > kMaxSets ? sets_.compact(place) : place;
}

}  // namespace mm
