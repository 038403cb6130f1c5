/// Whether schemas can be told apart: "oneOf" wants exactly one to fit.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace mm::grammar {

/// Throws kUnsupported unless no value can fit two of the schemas: they differ in their types, list
/// different values, or describe objects that both require a property with different values.
void require_disjoint(JsonView root, const std::vector<JsonView>& schemas,
                      const std::string& pointer);

}  // namespace mm::grammar
