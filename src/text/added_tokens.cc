#include "text/added_tokens.h"

#include <algorithm>
#include <utility>

#include "text/characters.h"
#include "text/utf8.h"

namespace mm {
namespace {

/// Byte order, not char order: `char` is signed here.
unsigned char byte_at(const AddedToken& token, size_t depth) {
  return static_cast<unsigned char>(token.content[depth]);
}

bool stands_alone(std::string_view text, size_t begin, size_t end) {
  const bool word_before =
      begin > 0 && is_word_character(utf8::decode_last(text.substr(0, begin)).code_point);
  const bool word_after =
      end < text.size() && is_word_character(utf8::decode_first(text.substr(end)).code_point);
  return !word_before && !word_after;
}

size_t skip_space_back(std::string_view text, size_t at, size_t limit) {
  while (at > limit) {
    const auto last = utf8::decode_last(text.substr(0, at));
    if (!is_white_space(last.code_point))
      break;
    at -= static_cast<size_t>(last.length);
  }
  return std::max(at, limit);
}

size_t skip_space(std::string_view text, size_t at) {
  while (at < text.size()) {
    const auto first = utf8::decode_first(text.substr(at));
    if (!is_white_space(first.code_point))
      break;
    at += static_cast<size_t>(first.length);
  }
  return at;
}

}  // namespace

AddedTokenFinder::AddedTokenFinder(std::vector<AddedToken> tokens) : tokens_(std::move(tokens)) {
  // std::string compares as unsigned bytes, which match_at relies on.
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) {
    if (!std::exchange(begins_token_[byte_at(token, 0)], true))
      first_bytes_ += token.content[0];
  }
}

/// The first place at or after `at` where a token may begin; the text's end if there is none.
size_t AddedTokenFinder::next_candidate(std::string_view text, size_t at) const {
  // Markers mostly share one first byte, and memchr passes over text many bytes at a time.
  if (first_bytes_.size() == 1)
    return std::min(text.find(first_bytes_[0], at), text.size());
  while (at < text.size() && !begins_token_[static_cast<unsigned char>(text[at])]) ++at;
  return at;
}

/// The longest token that begins at `at`: narrows the range of sorted tokens that agree with the
/// text byte by byte. In each range the token that ends here, if any, comes first.
const AddedToken* AddedTokenFinder::match_at(std::string_view text, size_t at) const {
  const AddedToken* longest = nullptr;
  auto low = tokens_.begin();
  auto high = tokens_.end();
  for (size_t depth = 0; low != high; ++depth) {
    for (; low != high && low->content.size() == depth; ++low) longest = &*low;
    if (at + depth >= text.size())
      break;
    const auto byte = static_cast<unsigned char>(text[at + depth]);
    low = std::partition_point(low, high,
                               [&](const AddedToken& t) { return byte_at(t, depth) < byte; });
    high = std::partition_point(low, high,
                                [&](const AddedToken& t) { return byte_at(t, depth) == byte; });
  }
  return longest;
}

void AddedTokenFinder::split(std::string_view text, Special special,
                             FunctionRef<void(const TextPart&)> sink) const {
  size_t done = 0;
  for (size_t at = tokens_.empty() ? text.size() : 0;;) {
    at = next_candidate(text, at);
    if (at >= text.size())
      break;
    const AddedToken* token = match_at(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    size_t begin = at;
    size_t end = at + token->content.size();
    at = end;
    const bool as_text = token->special && special == Special::kAsText;
    // A token before this one may have taken its first bytes as white space.
    if (as_text || begin < done || (token->single_word && !stands_alone(text, begin, end)))
      continue;
    if (token->lstrip)
      begin = skip_space_back(text, begin, done);
    if (token->rstrip)
      end = skip_space(text, end);
    if (begin > done)
      sink({text.substr(done, begin - done), -1});
    sink({text.substr(begin, end - begin), static_cast<int32_t>(token->id)});
    done = end;
  }
  if (done < text.size())
    sink({text.substr(done), -1});
}

}  // namespace mm
