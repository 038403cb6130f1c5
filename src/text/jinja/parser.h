/// Tokens to a syntax tree.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"

namespace mm::jinja {

/// Parses template text. Throws SyntaxError, also for text over kMaxTemplateBytes and for
/// nesting over kMaxSyntaxDepth.
Template parse_template(std::string_view source);

}  // namespace mm::jinja
