/// The texts of a vocabulary as a tree of bytes, for walking all tokens at once.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/automaton.h"

namespace mm {

class Tokenizer;

/// Immutable; threads and grammars may share it. 12 bytes a node and 8 a token beside its
/// text: about 8 MB for 200,000 tokens.
class TokenTrie {
 public:
  /// A node in depth-first order: its subtree lies between it and `skip`.
  struct Node {
    uint32_t skip = 0;         ///< the first node after the subtree
    uint32_t first_token = 0;  ///< into tokens(); the next node's ends the range
    uint16_t depth = 0;        ///< bytes up to here; 0: the root
    uint8_t byte = 0;          ///< the last of them
  };

  /// All tokens that are text: neither markers nor empty, and not in `excluded` (ids that can never
  /// be drawn).
  TokenTrie(const Tokenizer& tokenizer, std::span<const int32_t> excluded);

  std::span<const Node> nodes() const { return {nodes_.data(), nodes_.size() - 1}; }
  /// Ids of the tokens whose text ends at a node.
  std::span<const int32_t> tokens(uint32_t node) const {
    const uint32_t begin = nodes_[node].first_token;
    return {tokens_.data() + begin, nodes_[node + 1].first_token - begin};
  }
  /// The text of a token; empty for ids that are not in the tree.
  std::string_view text(int32_t id) const {
    if (id < 0 || id >= vocab_size_) {
      return {};
    }
    const auto i = static_cast<size_t>(id);
    return std::string_view(text_).substr(text_begin_[i], text_begin_[i + 1] - text_begin_[i]);
  }
  /// Bytes of the longest token.
  size_t depth() const { return depth_; }
  /// One more than the largest id of the vocabulary.
  int32_t vocab_size() const { return vocab_size_; }
  /// Bytes that are tokens by themselves. In any text of them every byte can be the next token.
  const grammar::ByteSet& single_bytes() const { return single_bytes_; }

 private:
  std::vector<Node> nodes_;      ///< and one more, the end
  std::vector<int32_t> tokens_;  ///< by text
  std::string text_;             ///< all texts by id, one after the other
  std::vector<uint32_t> text_begin_;
  size_t depth_ = 0;
  int32_t vocab_size_ = 0;
  grammar::ByteSet single_bytes_;
};

}  // namespace mm
