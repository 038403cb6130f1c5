/// Grammars as trees: what the readers of grammar text and of JSON schemas make, and what an
/// Automaton is compiled from.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace mm::grammar {

/// Code points `first` to `last`, both included.
struct CodeRange {
  char32_t first = 0;
  char32_t last = 0;
};

/// Largest code point.
inline constexpr char32_t kLastCodePoint = 0x10FFFF;

/// A set of texts.
struct Expression {
  enum class Kind {
    kBytes,     ///< the one text `bytes`
    kChars,     ///< one character of `chars`, in UTF-8; surrogates in it are left out
    kSequence,  ///< `parts` one after another; none: the empty text
    kChoice,    ///< one of `parts`; none: no text at all
    kRepeat,    ///< the only part `min` to `max` times
    kRule,      ///< what rule number `rule` derives
  };
  static constexpr int kNoLimit = -1;

  Kind kind = Kind::kSequence;
  std::string bytes = {};
  std::vector<CodeRange> chars = {};
  std::vector<Expression> parts = {};
  int min = 1;
  int max = 1;  ///< or kNoLimit
  int rule = -1;
};

inline Expression bytes(std::string text) {
  return {.kind = Expression::Kind::kBytes, .bytes = std::move(text)};
}
inline Expression chars(std::vector<CodeRange> ranges) {
  return {.kind = Expression::Kind::kChars, .chars = std::move(ranges)};
}
inline Expression sequence(std::vector<Expression> parts) {
  return {.kind = Expression::Kind::kSequence, .parts = std::move(parts)};
}
inline Expression choice(std::vector<Expression> parts) {
  return {.kind = Expression::Kind::kChoice, .parts = std::move(parts)};
}
inline Expression repeat(Expression part, int min, int max) {
  return {.kind = Expression::Kind::kRepeat, .parts = {std::move(part)}, .min = min, .max = max};
}
inline Expression optional(Expression part) {
  return repeat(std::move(part), 0, 1);
}
inline Expression call(int rule) {
  return {.kind = Expression::Kind::kRule, .rule = rule};
}

/// A named set of texts; rules may name one another and themselves.
struct Rule {
  std::string name;  ///< for errors
  Expression body;
};

struct RuleSet {
  std::vector<Rule> rules;
  int root = 0;  ///< the rule whose texts are the grammar's
};

/// The characters that are in none of the ranges.
std::vector<CodeRange> complement(std::vector<CodeRange> ranges);

}  // namespace mm::grammar
