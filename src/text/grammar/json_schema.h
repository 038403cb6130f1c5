/// JSON schemas as grammars.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "text/grammar/expression.h"

namespace mm::grammar {

/// Rules whose texts are JSON values that a schema allows. docs/grammar.md lists the keywords and
/// the forms of a value that are never written (numbers of many digits, say).
/// Throws kBadInput for bad JSON or a keyword with a value that it cannot have, kUnsupported for a
/// keyword that cannot be kept, both with the JSON pointer of the place.
RuleSet json_schema_rules(std::string_view schema);

/// Adds the rules of several schemas to a set. What any JSON consists of is added once.
class JsonSchemaRules {
 public:
  /// `rules` outlives this.
  explicit JsonSchemaRules(RuleSet& rules) : rules_(rules) {}

  /// The rule whose texts are values that a schema allows. Throws as above.
  int add(std::string_view schema);
  /// The rule of those among them that are objects. Throws kBadInput besides when the schema's
  /// "type" rules objects out.
  int add_object(std::string_view schema);

 private:
  RuleSet& rules_;
  std::map<std::string, int> shared_;  // rules that schemas have in common, by name
};

}  // namespace mm::grammar
