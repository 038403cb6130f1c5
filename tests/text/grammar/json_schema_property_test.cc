/// Random schemas, random walks over their masks with the bundled vocabulary, and a validator that
/// knows nothing of either.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "tests/text/grammar/validate.h"
#include "tests/text/grammar/walk.h"
#include "text/grammar.h"
#include "text/tokenizer.h"

namespace mm {
namespace {

using testing::is_valid;
using testing::walk;

using Value = nlohmann::ordered_json;  // members are written in the order of the schema

std::shared_ptr<const TokenTrie> bundled_trie() {
  static const auto kTrie = std::make_shared<const TokenTrie>(
      Tokenizer::load(MM_SOURCE_DIR "/models/mini"), std::vector<int32_t>());
  return kTrie;
}

// ---- schemas
// -------------------------------------------------------------------------------------

int pick(int count) {
  return *rc::gen::resize(100, rc::gen::inRange(0, count));
}
bool flip() {
  return pick(2) == 0;
}
template <typename T>
T pick_from(const std::vector<T>& list) {
  return list[static_cast<size_t>(pick(static_cast<int>(list.size())))];
}

Value any_constant() {
  return pick_from<Value>({"a", "b c", "é\n\"", 1, -20, 2.5, true, nullptr, "", {{"k", {1, "x"}}}});
}

Value any_string_schema() {
  Value schema = {{"type", "string"}};
  switch (pick(5)) {
    case 0:
      schema["minLength"] = pick(4);
      break;
    case 1:
      schema["maxLength"] = pick(6);
      break;
    case 2:
      schema["minLength"] = pick(4);
      schema["maxLength"] = schema["minLength"].get<int>() + pick(20);
      break;
    case 3:  // bytes, not characters, are what the validator's patterns see: ASCII alone
      schema["pattern"] =
          pick_from<std::string>({"^[a-z]+$", "^\\d{3}-\\d{4}$", "^(?:yes|no)( [A-F]{2,3})?$",
                                  "^x*[!-/]$", "^\\w[ .,]\\w?$"});
      break;
    default:
      break;
  }
  return schema;
}

Value any_number_schema() {
  const bool whole = flip();
  Value schema = {{"type", whole ? "integer" : "number"}};
  const double low = whole ? pick(2000) - 1000 : (pick(20000) - 10000) / 64.0;
  const double high = low + (whole ? 2 + pick(500) : 0.25 + pick(1000) / 8.0);
  if (flip()) {
    schema[flip() ? "minimum" : "exclusiveMinimum"] = low;
  }
  if (flip()) {
    schema[flip() ? "maximum" : "exclusiveMaximum"] = high;
  }
  return schema;
}

Value any_schema(int depth);

Value any_array_schema(int depth) {
  Value schema = {{"type", "array"}};
  if (flip()) {
    schema["items"] = any_schema(depth - 1);
  }
  if (pick(3) == 0) {
    Value prefix = Value::array();
    for (int i = pick(3); i >= 0; --i) {
      prefix.push_back(any_schema(depth - 1));
    }
    schema["prefixItems"] = prefix;
  }
  if (flip()) {
    schema["minItems"] = pick(4);
  }
  if (flip()) {
    schema["maxItems"] = schema.value("minItems", 0) + pick(4);
  }
  return schema;
}

Value any_object_schema(int depth) {
  Value schema = {{"type", "object"}};
  const std::vector<std::string> names = {"a", "ab", "abc", "b\"c", "é", "name", "", "a/b~c"};
  Value properties = Value::object();
  Value required = Value::array();
  for (const std::string& name : names) {
    if (pick(3) == 0) {
      properties[name] = any_schema(depth - 1);
    }
    if (pick(6) == 0 && (properties.contains(name) || flip())) {
      required.push_back(name);
    }
  }
  switch (pick(4)) {
    case 0:
      schema["additionalProperties"] = true;
      break;
    case 1:
      schema["additionalProperties"] = any_schema(depth - 1);
      break;
    case 2:
      for (const Value& name : required) {
        if (!properties.contains(name.get<std::string>())) {
          properties[name.get<std::string>()] = true;
        }
      }
      schema["additionalProperties"] = false;
      break;
    default:
      break;
  }
  schema["properties"] = properties;
  schema["required"] = required;
  return schema;
}

Value any_schema(int depth) {
  switch (pick(depth > 0 ? 12 : 7)) {
    case 0:
      return any_string_schema();
    case 1:
    case 2:
      return any_number_schema();
    case 3:
      return {{"type", pick_from<std::string>({"boolean", "null", "string", "number"})}};
    case 4:
      return {{"const", any_constant()}};
    case 5: {
      Value list = Value::array();
      for (int i = pick(4); i >= 0; --i) {
        list.push_back(any_constant());
      }
      return {{"enum", list}};
    }
    case 6:
      return {{"type", {"string", "integer", "null"}}, {"minLength", 1}, {"maximum", 50}};
    case 7:
      return any_array_schema(depth);
    case 8:
    case 9:
      return any_object_schema(depth);
    case 10: {
      Value parts = Value::array();
      for (int i = pick(3); i >= 0; --i) {
        parts.push_back(any_schema(depth - 1));
      }
      return {{"anyOf", parts}};
    }
    default:
      return {{"$ref", "#/$defs/tree"}};
  }
}

RC_GTEST_PROP(JsonSchemaProperty, WhatIsWrittenIsValid, ()) {
  Value schema = any_schema(3);
  schema["$defs"]["tree"] = {
      {"type", "object"},
      {"properties",
       {{"n", {{"type", "integer"}}},
        {"next", {{"anyOf", {{{"$ref", "#/$defs/tree"}}, {{"type", "null"}}}}}}}},
      {"required", {"n"}}};
  std::shared_ptr<const Grammar> grammar;
  try {
    grammar = Grammar::from_json_schema(schema.dump(), bundled_trie());
  } catch (const Error& error) {
    RC_FAIL(schema.dump() + "\n" + error.what());
  }
  for (int i = 0; i < 3; ++i) {
    const std::optional<std::string> text =
        walk(grammar, static_cast<uint32_t>(pick(1 << 30)), pick(60));
    RC_ASSERT(text.has_value());
    if (!is_valid(schema, *text)) {
      RC_FAIL(schema.dump() + "\n" + *text);
    }
  }
}

TEST(JsonSchemaProperty, AnyObjectIsAnObject) {
  const auto grammar = Grammar::any_json_object(bundled_trie());
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const auto text = walk(grammar, seed, static_cast<int>(seed) * 3);
    ASSERT_TRUE(text);
    EXPECT_TRUE(nlohmann::json::parse(*text).is_object()) << *text;
  }
}

}  // namespace
}  // namespace mm
