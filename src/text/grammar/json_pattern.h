/// Regular expressions of JSON schemas (ECMA-262) as grammars of JSON strings.
#pragma once

#include <string_view>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// The strings, in JSON form without their quotes, in which the pattern is found.
///
/// Understood: characters and their escapes, `.`, classes, \d \w \s and their negations, groups
/// (plain and non-capturing), alternatives, repetition (greedy or lazy: the same texts), and ^ and
/// $ at the ends of the pattern or of one of its outermost alternatives.
/// `pattern` is valid UTF-8. Throws kUnsupported for the rest (look-around, back references, word
/// limits, properties), kBadInput for bad syntax; `where` begins the message.
Expression pattern_text(std::string_view pattern, std::string_view where);

}  // namespace mm::grammar
