/// The lexical parts of JSON as expressions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Nothing, a space, or a line end with up to 64 spaces or tabs: bounded, so that no model can
/// write space for ever.
Expression json_space();

/// One character inside a string, in every form: itself, or an escape. Never half of a surrogate
/// pair.
Expression json_character();

/// One character of `ranges` inside a string: itself, or the escape that it needs.
Expression json_character_of(const std::vector<CodeRange>& ranges);

/// A text as a JSON string, quotes included. `text` is valid UTF-8.
std::string json_string(std::string_view text);

/// Strings that are none of `texts`, written without escapes. Throws kTooLarge for a text of more
/// than 256 characters.
Expression json_string_besides(const std::vector<std::string>& texts);

}  // namespace mm::grammar
