/// JSON schemas as grammars.
#pragma once

#include <string_view>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Rules whose texts are JSON values that a schema allows. docs/grammar.md lists the keywords and
/// the forms of a value that are never written (numbers of many digits, say).
/// Throws kBadInput for bad JSON or a keyword with a value that it cannot have, kUnsupported for a
/// keyword that cannot be kept, both with the JSON pointer of the place.
RuleSet json_schema_rules(std::string_view schema);

}  // namespace mm::grammar
