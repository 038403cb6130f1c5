#include "serve/json_fields.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace mm {
namespace {

/// The field that `read` is refused for; empty when it is not.
template <typename Read>
std::string refused(std::string_view body, Read read) {
  const JsonDocument document = parse_body(body);
  try {
    read(JsonFields(document.root()));
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_THAT(error.message, testing::HasSubstr(error.param));
    return error.param;
  }
  return "";
}

TEST(JsonFields, NullCountsAsAbsent) {
  const JsonDocument document = parse_body(R"({"a": null})");
  const JsonFields fields(document.root());
  EXPECT_EQ(fields.boolean("a"), std::nullopt);
  EXPECT_EQ(fields.integer("a", 0, 1), std::nullopt);
  EXPECT_EQ(fields.number("b", 0, 1), std::nullopt);
  EXPECT_EQ(fields.text("b"), std::nullopt);
  EXPECT_THROW(fields.required("a"), ApiError);
}

TEST(JsonFields, TypesAndRangesAreChecked) {
  const auto integer = [](const JsonFields& f) { f.integer("x", 1, 5); };
  EXPECT_EQ(refused(R"({"x": 1})", integer), "");
  EXPECT_EQ(refused(R"({"x": 5})", integer), "");
  for (const char* wrong : {"0", "6", "1.5", "\"1\"", "true", "[]", "18446744073709551615"}) {
    EXPECT_EQ(refused(std::string("{\"x\": ") + wrong + "}", integer), "x") << wrong;
  }
  const auto number = [](const JsonFields& f) { f.number("x", 0, 2); };
  EXPECT_EQ(refused(R"({"x": 2})", number), "");
  EXPECT_EQ(refused(R"({"x": 2.1})", number), "x");
  EXPECT_EQ(refused(R"({"x": "1"})", number), "x");
  EXPECT_EQ(refused(R"({"x": 1})", [](const JsonFields& f) { f.boolean("x"); }), "x");
  EXPECT_EQ(refused(R"({"x": {}})", [](const JsonFields& f) { f.text("x"); }), "x");
  EXPECT_EQ(refused(R"({"x": {}})", [](const JsonFields& f) { f.list("x"); }), "x");
}

TEST(JsonFields, PlacesInsideTheBodyAreNamed) {
  EXPECT_EQ(refused(R"({"x": 1})",
                    [](const JsonFields& f) { JsonFields(f.required("x"), "messages[2].x"); }),
            "messages[2].x");
}

TEST(JsonFields, BodiesThatAreNoObjectAreRefused) {
  for (const char* wrong : {"", "{", "[]", "1", "{} {}", "{\"a\": \"\xff\"}"}) {
    EXPECT_THROW(parse_body(wrong), ApiError) << wrong;
  }
}

TEST(JsonFields, IdsAreInTheVocabulary) {
  const auto ids = [](const JsonFields& f) { read_ids(*f.list("x"), "x", 10); };
  EXPECT_EQ(refused(R"({"x": [0, 9]})", ids), "");
  for (const char* wrong : {"[10]", "[-1]", "[\"1\"]", "[1.0]", "[18446744073709551615]"}) {
    EXPECT_EQ(refused(std::string("{\"x\": ") + wrong + "}", ids), "x") << wrong;
  }
}

TEST(ToJson, KeepsValuesAndTheirOrder) {
  const std::string text = R"({"z":[1,-2.5,"x",true,null,18446744073709551615],"a":{}})";
  EXPECT_EQ(to_json(JsonDocument::parse(text, "test").root()).dump(), text);
}

// With each key compared to all others this would take minutes.
TEST(ToJson, TakesObjectsWithManyMembers) {
  constexpr int kMembers = 300000;
  std::string text = "{";
  for (int i = 0; i < kMembers; ++i) {
    text += (i == 0 ? "\"" : ",\"") + std::to_string(i) + "\":0";
  }
  EXPECT_EQ(to_json(JsonDocument::parse(text + "}", "test").root()).size(), kMembers);
}

}  // namespace
}  // namespace mm
