#include "text/grammar/token_trie.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace mm {
namespace {

struct Text {
  std::string_view bytes;
  int32_t id;
};

std::vector<Text> texts_by_id(const Tokenizer& tokenizer, std::span<const int32_t> excluded) {
  std::vector<bool> left_out(static_cast<size_t>(tokenizer.vocab_size()));
  for (const int32_t id : excluded) {
    if (id >= 0 && id < tokenizer.vocab_size()) {
      left_out[static_cast<size_t>(id)] = true;
    }
  }
  std::vector<Text> texts;
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.piece(id);
    if (!bytes.empty() && bytes.size() <= std::numeric_limits<uint16_t>::max() &&
        !tokenizer.is_special(id) && !left_out[static_cast<size_t>(id)]) {
      texts.push_back({bytes, id});
    }
  }
  return texts;
}

size_t common_prefix(std::string_view a, std::string_view b) {
  const auto [end, unused] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  return static_cast<size_t>(end - a.begin());
}

}  // namespace

TokenTrie::TokenTrie(const Tokenizer& tokenizer, std::span<const int32_t> excluded)
    : vocab_size_(tokenizer.vocab_size()) {
  std::vector<Text> texts = texts_by_id(tokenizer, excluded);
  text_begin_.reserve(static_cast<size_t>(vocab_size_) + 1);
  for (const auto& [bytes, id] : texts) {
    text_begin_.resize(static_cast<size_t>(id) + 1, static_cast<uint32_t>(text_.size()));
    text_ += bytes;
  }
  text_begin_.resize(static_cast<size_t>(vocab_size_) + 1, static_cast<uint32_t>(text_.size()));
  std::stable_sort(texts.begin(), texts.end(),
                   [](const Text& a, const Text& b) { return a.bytes < b.bytes; });
  std::vector<uint32_t> path = {0};  // nodes from the root to the last text's
  nodes_.emplace_back();
  const auto close_to = [&](size_t depth) {
    for (; path.size() > depth + 1; path.pop_back()) {
      nodes_[path.back()].skip = static_cast<uint32_t>(nodes_.size());
    }
  };
  std::string_view before;
  for (const auto& [bytes, id] : texts) {
    close_to(common_prefix(before, bytes));
    for (size_t depth = path.size(); depth <= bytes.size(); ++depth) {
      path.push_back(static_cast<uint32_t>(nodes_.size()));
      nodes_.push_back({.skip = 0,
                        .first_token = static_cast<uint32_t>(tokens_.size()),
                        .depth = static_cast<uint16_t>(depth),
                        .byte = static_cast<uint8_t>(bytes[depth - 1])});
    }
    tokens_.push_back(id);
    depth_ = std::max(depth_, bytes.size());
    if (bytes.size() == 1) {
      single_bytes_.set(static_cast<uint8_t>(bytes[0]));
    }
    before = bytes;
  }
  close_to(0);
  nodes_[0].skip = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back(
      {.skip = 0, .first_token = static_cast<uint32_t>(tokens_.size()), .depth = 0, .byte = 0});
}

}  // namespace mm
