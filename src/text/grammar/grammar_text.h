/// Reading grammar text: GBNF as llama.cpp writes it.
#pragma once

#include <string_view>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Rules of the form `name ::= expression`; the rule named root is the grammar.
///
///   "text"  [a-z]  [^"\\]  .  ( ... )  a | b  x*  x+  x?  x{3}  x{2,}  x{2,5}  name  # comment
///
/// Escapes in texts and classes: \n \r \t \\ \" \[ \] \- \^ \xHH \uHHHH \UHHHHHHHH. Line ends are
/// space. Throws kBadInput with the line for bad syntax, an unknown or repeated rule, a missing
/// root; kTooLarge for more than a megabyte.
RuleSet parse_grammar_text(std::string_view text);

}  // namespace mm::grammar
