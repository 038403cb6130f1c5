/// The tokens of a template, read front to back with one token of look-ahead.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/lexer.h"

namespace mm::jinja {

class TokenStream {
 public:
  explicit TokenStream(std::vector<Token> tokens) : tokens_(std::move(tokens)) {}

  const Token& current() const { return tokens_[at_]; }
  const Token& peek() const { return tokens_[std::min(at_ + 1, tokens_.size() - 1)]; }
  /// The current token; the stream moves on, but not past the end.
  const Token& take();
  bool at(TokenKind kind) const { return current().kind == kind; }
  bool at_operator(std::string_view text) const {
    return at(TokenKind::kOperator) && current().text == text;
  }
  bool at_name(std::string_view text) const {
    return at(TokenKind::kName) && current().text == text;
  }
  bool accept_operator(std::string_view text);
  bool accept_name(std::string_view text);
  void expect_operator(std::string_view text);
  void expect_name(std::string_view text);
  std::string expect_identifier(std::string_view what);
  /// Throws SyntaxError at the current token.
  [[noreturn]] void fail(std::string message) const;
  /// The current token in words, for errors.
  std::string describe() const;
  /// Byte offset behind the token before the current one.
  uint32_t previous_end() const { return at_ > 0 ? tokens_[at_ - 1].place.end : 0; }

 private:
  std::vector<Token> tokens_;
  size_t at_ = 0;
};

}  // namespace mm::jinja
