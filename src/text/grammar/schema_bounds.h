/// Bounds and counts of a JSON schema, and what it says about objects.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "text/grammar/expression.h"

namespace mm::grammar {

/// How many characters or items there may be.
struct CountRange {
  int min = 0;
  int max = Expression::kNoLimit;
  bool is_given = false;  ///< at least one side is
};

/// Two keywords that count. Throws kBadInput for what is no count and for an empty range, kTooLarge
/// for a count over 100,000.
CountRange read_count(JsonView schema, const char* min, const char* max,
                      const std::string& pointer);

/// Integers within "minimum", "maximum", "exclusiveMinimum" and "exclusiveMaximum".
/// Throws kUnsupported for bounds that leave only numbers of more than 15 digits.
Expression bounded_integers(JsonView schema, const std::string& pointer);
/// Numbers likewise. Throws kUnsupported besides for a bound that needs more than 15 digits.
Expression bounded_numbers(JsonView schema, const std::string& pointer);

/// Members of an object.
struct ObjectShape {
  struct Property {
    std::string name;
    std::string pointer;             ///< of its schema
    std::optional<JsonView> schema;  ///< empty: required, but described by no property
    bool is_required;
  };
  std::vector<Property> properties;    ///< in the order in which they are written
  bool allows_others = false;          ///< members of other names
  std::optional<JsonView> additional;  ///< their schema; empty: any value
  std::string additional_pointer;
};

/// Throws kBadInput for keywords of a wrong form, and for a required name that may not be there.
ObjectShape read_object(JsonView schema, const std::string& pointer);

}  // namespace mm::grammar
