/// JSON values as template values.
#pragma once

#include "base/json_value.h"
#include "text/jinja/value.h"

namespace mm::jinja {

/// Copies a JSON value, key order kept. Throws kTooLarge when it nests over kMaxValueDepth and
/// kBadInput for integers over 63 bits.
Value from_json(Budget& budget, const Json& json, int depth = 0);

}  // namespace mm::jinja
