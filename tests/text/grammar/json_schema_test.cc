#include "text/grammar/json_schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/text/grammar/matching.h"

namespace mm::grammar {
namespace {

using testing::all_bytes;
using testing::Reader;

void expect_values(std::string_view schema, const std::vector<std::string>& values,
                   const std::vector<std::string>& others) {
  Reader reader(json_schema_rules(schema), all_bytes());
  for (const std::string& value : values) {
    EXPECT_TRUE(reader.matches(value)) << schema << "\n" << value;
  }
  for (const std::string& value : others) {
    EXPECT_FALSE(reader.matches(value)) << schema << "\n" << value;
  }
}

void expect_error(std::string_view schema, ErrorKind kind, const char* message) {
  try {
    const Automaton automaton(json_schema_rules(schema), all_bytes());
    ADD_FAILURE() << "no error: " << schema;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), ::testing::HasSubstr(message)) << schema;
    EXPECT_EQ(error.kind(), kind) << schema;
  }
}

TEST(JsonSchema, AnyJson) {
  const std::vector<std::string> values = {"{}",
                                           "[]",
                                           R"({"a": {"b": [1, "x", null]}, "": true})",
                                           "-12.5e+3",
                                           R"("é\n😀\u00e9\uD83D\uDE00")",
                                           "{\n  \"a\": 1,\n\t\"b\": [ 1 , 2 ]\n}"};
  // Commas follow their value at once.
  const std::vector<std::string> others = {
      "",    "{",   R"({"a"})", "[1,]",    "01",          "1.",          "\"\n\"",
      "nul", "{} ", "[1 , 2]",  R"("\x")", R"("\uD83D")", R"("\uDE00")", "+1"};
  std::vector<std::string> accepted(values.begin(), values.end() - 1);
  accepted.push_back("{\n  \"a\": 1,\n\t\"b\": [ 1, 2 ]\n}");
  expect_values("true", accepted, others);
  expect_values("{}", accepted, others);
  expect_values(R"({"type": "object"})", {"{}", R"({"a": [1]})"}, {"[]", "1", "null"});
  expect_values(R"({"type": "array"})", {"[]", R"([{}, 1])"}, {"{}", "1"});
  expect_values(R"({"title": "x", "description": "y", "type": ["string", "null"]})",
                {"null", "\"null\""}, {"1", "[]"});
}

TEST(JsonSchema, Objects) {
  constexpr std::string_view kSchema = R"({
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}, "c": {"type": "null"}},
    "required": ["b"]})";
  expect_values(kSchema,
                {R"({"b": true})", R"({"a": 1, "b": false})", R"({"b":true,"c":null})",
                 R"({"a":0,"b":true, "c": null})"},
                {"{}", R"({"a": 1})", R"({"b": 1})", R"({"b": true, "a": 1})",
                 R"({"b": true, "d": 1})", R"({"b": true,})", R"({,"b": true})"});
  expect_values(R"({"properties": {"a": true, "b": true}})",
                {"{}", R"({"a": 1})", R"({"b": []})", R"({"a": 1, "b": 2})"},
                {R"({"c": 1})", R"({"b": 1, "a": 2})"});
}

TEST(JsonSchema, OtherMembers) {
  expect_values(R"({"properties": {"ab": {"type": "integer"}, "abc": {"type": "null"}, "é": true},
                    "additionalProperties": {"type": "string"}})",
                {"{}", R"({"a": "x"})", R"({"ab": 1, "abd": "x", "": "y"})", R"({"abcd": "x"})",
                 R"({"é": 1, "b": "x"})", R"({"ée": "x"})"},
                {R"({"ab": "x"})", R"({"a": 1})", R"({"abc": "x"})", R"({"a": "x", "ab": 1})",
                 R"({"x": "y", "é": "z"})"});
  expect_values(R"({"type": "object", "properties": {"a": true}, "additionalProperties": true})",
                {R"({"a": 1, "b": 2})", R"({"b": {}})"}, {R"({"b": 2, "a": 1})"});
  expect_values(R"({"type": "object", "additionalProperties": false})", {"{}", "{ }"},
                {R"({"a": 1})"});
  expect_values(R"({"type": "object", "required": ["a\"b"]})",
                {R"({"a\"b": 1})", R"({"a\"b": 1, "c": 2})"}, {"{}", R"({"c": 2})"});
  expect_values(R"({"properties": {"a": true}, "required": ["z"]})", {R"({"a": 1, "z": 2})"},
                {R"({"a": 1})"});
}

TEST(JsonSchema, Arrays) {
  expect_values(R"({"items": {"type": "integer"}})", {"[]", "[1]", "[1, 2,3]"}, {"[\"a\"]", "1"});
  expect_values(R"({"items": {"type": "null"}, "minItems": 2, "maxItems": 3})",
                {"[null, null]", "[null,null,null]"}, {"[]", "[null]", "[null,null,null,null]"});
  expect_values(R"({"items": {"type": "null"}, "maxItems": 1})", {"[]", "[null]"}, {"[null,null]"});
  expect_values(R"({"type": "array", "maxItems": 0})", {"[]"}, {"[1]"});
  expect_values(R"({"prefixItems": [{"type": "null"}, {"type": "boolean"}], "items": false})",
                {"[]", "[null]", "[null, true]"}, {"[true]", "[null, true, 1]"});
  expect_values(R"({"prefixItems": [{"type": "null"}, {"type": "boolean"}], "minItems": 1,
                    "items": {"type": "string"}, "maxItems": 3})",
                {"[null]", "[null, true]", "[null, true, \"a\"]"},
                {"[]", "[null, true, 1]", "[null, true, \"a\", \"b\"]"});
  expect_values(R"({"prefixItems": [{"type": "null"}], "minItems": 2, "items": {"type": "null"}})",
                {"[null, null]", "[null,null,null]"}, {"[null]"});
}

TEST(JsonSchema, Strings) {
  expect_values(R"({"type": "string", "minLength": 2, "maxLength": 3})",
                {R"("ab")", R"("é😀世")", R"("\n\u00e9")", R"("\uD83D\uDE00x")"},
                {R"("a")", R"("abcd")", "\"\""});
  expect_values(R"({"type": "string", "minLength": 1})", {R"("a")", R"("abcdefgh")"}, {"\"\""});
  expect_values(R"({"type": "string", "maxLength": 0})", {"\"\""}, {R"("a")"});
}

TEST(JsonSchema, Patterns) {
  const auto schema = [](const std::string& pattern) {
    return Json{{"type", "string"}, {"pattern", pattern}}.dump();
  };
  expect_values(schema("^a+b?$"), {R"("a")", R"("aab")"}, {"\"\"", R"("b")", R"("abb")"});
  expect_values(schema("b"), {R"("b")", R"("abc")", R"("\nb")"}, {R"("a")"});
  expect_values(schema("^(?:ab|[0-9]{2,3})$"), {R"("ab")", R"("12")", R"("123")"},
                {R"("1")", R"("1234")"});
  expect_values(schema("^a|b$"), {R"("ax")", R"("xb")"}, {R"("xa")", R"("bx")"});
  expect_values(schema(R"(^[^"\\\d]\.\w\s$)"), {R"("é._\t")", R"("x.1 ")"},
                {R"("1.a ")", R"("\".a ")", R"("x,a ")"});
  expect_values(schema("^[\"\\\\\n]{3}$"), {R"("\"\\\n")"}, {R"("a\\\n")"});
  expect_values(schema(R"(^\x41\u00e9\/[\]\-a-]$)"), {R"("Aé/]")", R"("Aé/-")"}, {R"("Aé/b")"});
  expect_values(schema("^a*?$"), {"\"\"", R"("aa")"}, {R"("b")"});
  expect_values(schema(""), {"\"\"", R"("b")"}, {});
}

TEST(JsonSchema, Formats) {
  const auto schema = [](const std::string& format) {
    return Json{{"type", "string"}, {"format", format}}.dump();
  };
  expect_values(schema("date"), {R"("2024-12-31")", R"("2023-02-28")", R"("2023-04-30")"},
                {R"("2023-13-01")", R"("2023-02-30")", R"("2023-04-31")", R"("23-01-01")"});
  expect_values(schema("time"), {R"("23:59:59Z")", R"("01:02:03.5+02:00")"},
                {R"("24:00:00Z")", R"("10:00:00")"});
  expect_values(schema("date-time"), {R"("2024-01-02T03:04:05Z")"}, {R"("2024-01-02 03:04:05Z")"});
  expect_values(schema("uuid"), {R"("01234567-89ab-cdef-0123-456789ABCDEF")"},
                {R"("0123456789abcdef0123456789abcdef")"});
  expect_values(schema("ipv4"), {R"("127.0.0.1")", R"("255.249.10.0")"},
                {R"("256.1.1.1")", R"("1.1.1")", R"("01.1.1.1")"});
  expect_values(schema("email"), {R"("ann.b+c@mail.example.org")"},
                {R"("ann@")", R"("ann@b")", R"("@b.c")"});
}

TEST(JsonSchema, ListedValues) {
  expect_values(R"({"enum": ["a", "é\n", 1, 2.5, null, {"b": [1]}, true]})",
                {R"("a")", R"("é\n")", "1", "2.5", "null", R"({"b":[1]})", "true"},
                {R"("b")", "2", "false"});
  expect_values(R"({"const": "x"})", {R"("x")"}, {R"("y")"});
  expect_values(R"({"type": "string", "enum": ["a", 1]})", {R"("a")"}, {"1"});
}

TEST(JsonSchema, Choices) {
  expect_values(R"({"anyOf": [{"type": "integer"}, {"type": "null"}]})", {"1", "null"}, {"true"});
  expect_values(R"({"oneOf": [{"type": "string"}, {"type": "boolean"}]})", {"\"\"", "true"}, {"1"});
  expect_values(R"({"allOf": [{"type": "string"}], "description": "d"})", {"\"\""}, {"1"});
  expect_values(R"({"oneOf": [
      {"type": "object", "properties": {"k": {"const": "a"}, "x": {"type": "null"}},
       "required": ["k"]},
      {"type": "object", "properties": {"k": {"enum": ["b", "c"]}}, "required": ["k"]}]})",
                {R"({"k": "a", "x": null})", R"({"k": "c"})"}, {R"({"k": "b", "x": null})", "{}"});
}

TEST(JsonSchema, References) {
  expect_values(R"({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object",
      "properties": {"left": {"$ref": "#/$defs/tree"}, "n": {"type": "integer"}}}}})",
                {"{}", R"({"left": {"left": {"n": 1}}, "n": 2})"}, {R"({"left": 1})"});
  expect_values(R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[], [[]]]"}, {"[1]"});
  expect_values(R"({"properties": {"a/b": {"type": "null"}, "c": {"$ref": "#/properties/a~1b"}}})",
                {R"({"a/b": null, "c": null})"}, {R"({"c": 1})"});
  expect_values(R"({"$ref": "#/$defs/x/anyOf/1", "$defs": {"x": {"anyOf": [true, {"const": 7}]}}})",
                {"7"}, {"8"});
}

/// Texts of two schemas one after the other, of objects alone.
RuleSet two_objects(std::string_view first, std::string_view second) {
  RuleSet rules;
  JsonSchemaRules schemas(rules);
  const int a = schemas.add_object(first);
  const int b = schemas.add_object(second);
  rules.rules.push_back({"both", sequence({call(a), bytes(" "), call(b)})});
  rules.root = static_cast<int>(rules.rules.size()) - 1;
  return rules;
}

TEST(JsonSchema, SeveralInOneSetKeepApart) {
  constexpr std::string_view kNode = R"({"type": "object", "properties":
      {"next": {"$ref": "#"}, "a": {"type": "string"}}, "additionalProperties": {"type": "null"}})";
  constexpr std::string_view kOther = R"({"type": "object", "properties": {"b": {"type": "string"}},
      "additionalProperties": {"type": "boolean"}})";
  Reader reader(two_objects(kNode, kOther), all_bytes());
  EXPECT_TRUE(reader.matches(R"({"next": {"a": "x"}, "b": null} {"b": "y", "a": true})"));
  EXPECT_FALSE(reader.matches(R"({"next": {"b": "x"}} {})"));
  EXPECT_FALSE(reader.matches(R"({} {"a": null})"));
  // Strings and whatever else JSON consists of are there once.
  RuleSet one;
  JsonSchemaRules schemas(one);
  schemas.add("true");
  const size_t count = one.rules.size();
  schemas.add("true");
  EXPECT_EQ(one.rules.size(), count + 1);
}

TEST(JsonSchema, ObjectsAlone) {
  for (const char* schema :
       {"true", "{}", R"({"type": ["object", "null"]})", R"({"anyOf": [{"type": "object"}, true]})",
        R"({"$ref": "#/$defs/x", "$defs": {"x": {"title": "x"}}})"}) {
    Reader reader(two_objects(schema, R"({"enum": [1, {"k": 1}, "x"]})"), all_bytes());
    EXPECT_TRUE(reader.matches(R"({"a": [1]} {"k":1})")) << schema;
    EXPECT_FALSE(reader.begins("n")) << schema;
    EXPECT_FALSE(reader.begins("1")) << schema;
    EXPECT_FALSE(reader.begins(R"({"a": [1]} 1)")) << schema;
  }
  // The same place may stand for all its values elsewhere.
  Reader reader(two_objects(R"({"anyOf": [{"$ref": "#/$defs/x"}], "$defs": {"x":
      {"type": ["object", "string"], "additionalProperties": {"$ref": "#/$defs/x"}}}})",
                            "true"),
                all_bytes());
  EXPECT_TRUE(reader.matches(R"({"a": "s"} {})"));
  EXPECT_FALSE(reader.begins(R"("s")"));
  RuleSet rules;
  EXPECT_THROW(JsonSchemaRules(rules).add_object(R"({"type": "string"})"), Error);
}

TEST(JsonSchema, UnsupportedKeywordsAreNamedWithTheirPlace) {
  const auto refused = [](const char* schema, const char* message) {
    expect_error(schema, ErrorKind::kUnsupported, message);
  };
  refused(R"({"properties": {"a/b": {"type": "integer", "multipleOf": 3}}})",
          R"(json schema at /properties/a~1b: keyword "multipleOf" cannot be enforced)");
  refused(R"({"items": {"not": {}}})", R"(json schema at /items: keyword "not")");
  refused(R"({"type": "array", "uniqueItems": true})", R"(json schema: keyword "uniqueItems")");
  refused(R"({"type": "object", "minProperties": 1})", "minProperties");
  refused(R"({"frobnicate": 1})", R"(keyword "frobnicate")");
  refused(R"({"type": "string", "format": "color"})", R"(format "color")");
  refused(R"g({"type": "string", "pattern": "(?=a)"})g", "json schema at /pattern: pattern");
  refused(R"g({"type": "string", "pattern": "a\\b"})g", "\\b");
  refused(R"g({"type": "string", "pattern": "(a)\\1"})g", "\\1");
  refused(R"g({"type": "string", "pattern": "a^b"})g", "inside the pattern");
  refused(R"g({"type": "string", "pattern": "(a$)"})g", "inside the pattern");
  refused(R"({"type": "string", "pattern": "a", "minLength": 1})", "only one of");
  refused(R"({"anyOf": [true], "type": "string"})", R"("type" beside "anyOf")");
  refused(R"({"$ref": "#", "minimum": 1})", R"("minimum" beside "$ref")");
  refused(R"({"anyOf": [true], "oneOf": [true]})", R"("oneOf" beside "anyOf")");
  refused(R"({"$ref": "other.json"})", "json schema at /$ref: reference \"other.json\"");
  refused(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})", "both schema 0 and 1");
  refused(R"({"oneOf": [{"const": 1}, {"const": 1.0}]})", "both schema 0 and 1");
  refused(R"({"allOf": [true, true]})", "allOf");
  refused(R"({"items": [true]})", "prefixItems");
  refused(R"({"type": "number", "minimum": 0.1234567890123456789})", "more than 15 digits");
  refused(R"({"type": "integer", "minimum": 1e300})", "more than 15 digits");
}

/// References may form long chains, and names and lists may be long: nothing recurses as deep.
TEST(JsonSchema, LengthIsNoDepth) {
  Json chain = {{"$ref", "#/$defs/0"}};
  constexpr int kLinks = 5000;
  for (int i = 0; i < kLinks; ++i) {
    chain["$defs"][std::to_string(i)] = {{"$ref", "#/$defs/" + std::to_string(i + 1)}};
  }
  chain["$defs"][std::to_string(kLinks)] = {{"const", std::string(20'000, 'x')}};
  expect_values(chain.dump(), {"\"" + std::string(20'000, 'x') + "\""}, {"1"});
  Json object;
  object["properties"][std::string(300, 'n')] = true;
  expect_values(object.dump(), {"{}", "{\"" + std::string(300, 'n') + "\": 1}"}, {});
  object["additionalProperties"] = true;
  expect_error(object.dump(), ErrorKind::kTooLarge, "a property's name has 300 characters");
  Json list = {{"prefixItems", std::vector<Json>(300, Json(true))}};
  expect_error(list.dump(), ErrorKind::kTooLarge, "json schema at /prefixItems: 300 schemas");
}

TEST(JsonSchema, WrongSchemasAreRefused) {
  const auto refused = [](const char* schema, const char* message) {
    expect_error(schema, ErrorKind::kBadInput, message);
  };
  refused("{", "json schema");
  refused("1", "json schema: a schema is an integer");
  refused(R"({"type": "text"})", R"(json schema at /type: there is no type "text")");
  refused(R"({"type": []})", "empty list of types");
  refused(R"({"minLength": -1})", "json schema at /minLength: -1, expected a count");
  refused(R"({"minLength": "1"})", "json schema at /minLength");
  refused(R"({"minItems": 3, "maxItems": 2})", R"("maxItems" 2 is less than "minItems" 3)");
  refused(R"({"$ref": "#/$defs/x"})", "leads to nothing");
  refused(R"({"anyOf": []})", "json schema at /anyOf: an empty list");
  refused(R"({"properties": {"a": 1}})", "json schema at /properties/a: a schema is");
  refused(R"({"required": ["a"], "additionalProperties": false})", R"("a" is required)");
  refused(R"g({"pattern": "(a"})g", "a group is not closed");
  refused(R"g({"pattern": "[a"})g", "ends too early");
  refused(R"g({"pattern": "a{2"})g", "a repetition is not of the form");
  refused(R"g({"pattern": "*"})g", "unexpected \"*\"");
  refused(R"g({"pattern": "a)"})g", "unexpected \")\"");
  refused("false", "derives no text");
  refused(R"({"type": "integer", "minimum": 2, "maximum": 1})", "derives no text");
  refused(R"({"enum": []})", "derives no text");
  refused(R"({"properties": {"a": {"$ref": "#"}}, "required": ["a"]})", "derives no text");
  refused(R"({"$ref": "#"})", "");
  expect_error(R"({"type": "string", "maxLength": 100000})", ErrorKind::kTooLarge, "lengths");
  expect_error(R"({"type": "string", "maxLength": 1000000})", ErrorKind::kTooLarge, "maxLength");
}

}  // namespace
}  // namespace mm::grammar
