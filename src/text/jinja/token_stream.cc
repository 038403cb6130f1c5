#include "text/jinja/token_stream.h"

#include <fmt/format.h>

namespace mm::jinja {

const Token& TokenStream::take() {
  const Token& token = current();
  if (at_ + 1 < tokens_.size()) {
    ++at_;
  }
  return token;
}

bool TokenStream::accept_operator(std::string_view text) {
  if (!at_operator(text)) {
    return false;
  }
  take();
  return true;
}

bool TokenStream::accept_name(std::string_view text) {
  if (!at_name(text)) {
    return false;
  }
  take();
  return true;
}

void TokenStream::expect_operator(std::string_view text) {
  if (!accept_operator(text)) {
    fail(fmt::format("expected '{}', found {}", text, describe()));
  }
}

void TokenStream::expect_name(std::string_view text) {
  if (!accept_name(text)) {
    fail(fmt::format("expected '{}', found {}", text, describe()));
  }
}

std::string TokenStream::expect_identifier(std::string_view what) {
  if (!at(TokenKind::kName)) {
    fail(fmt::format("expected {}, found {}", what, describe()));
  }
  return take().text;
}

void TokenStream::fail(std::string message) const {
  throw SyntaxError(current().place.line, std::move(message));
}

std::string TokenStream::describe() const {
  switch (current().kind) {
    case TokenKind::kData:
      return "text";
    case TokenKind::kVariableBegin:
      return "'{{'";
    case TokenKind::kVariableEnd:
      return "'}}'";
    case TokenKind::kBlockBegin:
      return "'{%'";
    case TokenKind::kBlockEnd:
      return "'%}'";
    case TokenKind::kString:
      return "a string";
    case TokenKind::kInteger:
    case TokenKind::kFloat:
      return "a number";
    case TokenKind::kEnd:
      return "the end of the template";
    case TokenKind::kName:
    case TokenKind::kOperator:
      break;
  }
  return fmt::format("'{}'", current().text);
}

}  // namespace mm::jinja
