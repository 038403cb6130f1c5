/// Template text to tokens, with white space control as Hugging Face configures it:
/// trim_blocks and lstrip_blocks on, one newline at the end of the template dropped.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mm::jinja {

/// Where something stands in a template.
struct Place {
  int line = 1;
  uint32_t begin = 0;  ///< byte offsets into the normalised source
  uint32_t end = 0;
};

enum class TokenKind {
  kData,           ///< text to print, white space already trimmed
  kVariableBegin,  ///< {{
  kVariableEnd,
  kBlockBegin,  ///< {%
  kBlockEnd,
  kName,
  kString,  ///< escapes already decoded
  kInteger,
  kFloat,
  kOperator,
  kEnd,  ///< of the template
};

struct Token {
  TokenKind kind;
  std::string text;  ///< decoded text; empty for kInteger and kFloat
  Place place;
  int64_t integer = 0;
  double number = 0;
};

/// A syntax error, before the template's name is known; caught by ChatTemplate.
class SyntaxError : public std::exception {
 public:
  SyntaxError(int line, std::string message) : line_(line), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  int line() const { return line_; }

 private:
  int line_;
  std::string message_;
};

/// All line ends as "\n", without the one that ends the template.
std::string normalize_source(std::string_view source);

/// The tokens of a normalised source; the last one is kEnd. Throws SyntaxError.
std::vector<Token> tokenize(std::string_view source);

}  // namespace mm::jinja
