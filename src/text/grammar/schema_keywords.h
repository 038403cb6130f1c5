/// The keywords of a JSON schema: which there are, and what they say about the kinds of values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"

namespace mm::grammar {

/// How errors name a place of a schema.
std::string place(std::string_view pointer);

enum class ValueKind { kNull, kBoolean, kInteger, kNumber, kString, kArray, kObject };

/// One schema's keywords, checked: each is known, and those that stand together can be kept
/// together.
class SchemaKeywords {
 public:
  /// `schema` is an object. Throws kUnsupported naming keyword and place, kBadInput.
  SchemaKeywords(JsonView schema, const std::string& pointer);

  /// The keyword that says all by itself: $ref, const, enum, anyOf, oneOf or allOf.
  const std::optional<std::string>& whole() const { return whole_; }
  /// Kinds of values that are allowed, each once, if whole() is empty: those of "type", else those
  /// that the other keywords speak of, else all.
  const std::vector<ValueKind>& kinds() const { return kinds_; }

 private:
  std::optional<std::string> whole_;
  std::vector<ValueKind> kinds_;
};

/// Kinds that "type" names; empty without it. An integer is left out beside numbers.
std::vector<ValueKind> read_types(JsonView schema, const std::string& pointer);

/// Whether a value is of one of the kinds.
bool is_of_kind(JsonView value, const std::vector<ValueKind>& kinds);

/// Values of "const" or "enum", those that a "type" beside it forbids left out.
std::vector<JsonView> listed_values(JsonView schema, const std::string& pointer);

/// The schema that a "$ref" names, and where it stands. Throws kUnsupported for a reference out of
/// the schema, kBadInput for one to nowhere.
std::pair<JsonView, std::string> resolve_reference(JsonView root, JsonView reference,
                                                   const std::string& pointer);

/// A pattern of the strings of a format. Throws kUnsupported for another one.
std::string_view pattern_of_format(std::string_view format, const std::string& pointer);

}  // namespace mm::grammar
