#include "text/detokenizer.h"

#include <utility>

#include "text/utf8.h"

namespace mm {

std::string Detokenizer::push(int32_t id) {
  if (tokenizer_.is_hidden(id, options_))
    return {};
  pending_ += tokenizer_.piece(id);
  const size_t complete = utf8::complete_prefix(pending_);
  std::string text = utf8::replace_invalid(std::string_view(pending_).substr(0, complete));
  pending_.erase(0, complete);
  return text;
}

std::string Detokenizer::flush() {
  return utf8::replace_invalid(std::exchange(pending_, {}));
}

}  // namespace mm
