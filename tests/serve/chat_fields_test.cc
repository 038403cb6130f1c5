#include "serve/chat_fields.h"

#include <gtest/gtest.h>

#include "serve/api_error.h"

namespace mm {

namespace {

const char* const kUser = R"({"role": "user", "content": "Hi"})";
const char* const kTool = R"({"type": "function", "function": {"name": "f", "x": 1, "description":
                              "F.", "parameters": {"type": "object"}}})";

ChatFields read(const std::string& body, ToolFormat format = ToolFormat::kM1) {
  const JsonDocument document = parse_body(body);
  return read_chat_fields(JsonFields(document.root()), format);
}

ChatFields read_messages(const std::string& messages, ToolFormat format = ToolFormat::kM1) {
  return read("{\"messages\": [" + messages + "]}", format);
}

/// A body with the message and these members.
std::string with(const std::string& members) {
  return std::string("{\"messages\": [") + kUser + "], " + members + "}";
}

/// The field that the 400 names.
std::string refused(const std::string& body, ToolFormat format = ToolFormat::kM1) {
  try {
    read(body, format);
  } catch (const ApiError& error) {
    EXPECT_EQ(error.status, 400);
    EXPECT_FALSE(error.message.empty());
    return error.param;
  }
  return "nothing";
}

std::string refused_message(const std::string& message, ToolFormat format = ToolFormat::kM1) {
  return refused("{\"messages\": [" + message + "]}", format);
}

}  // namespace

TEST(ChatFields, ReadsAConversation) {
  const ChatFields chat = read_messages(
      R"({"role": "developer", "content": "Be kind."},
         {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
         {"role": "assistant", "content": "c", "tool_calls": []})",
      ToolFormat::kNone);
  ASSERT_EQ(chat.messages.size(), 3U);
  EXPECT_EQ(chat.messages[0].role, "system");
  EXPECT_EQ(chat.messages[1].content, "ab");
  EXPECT_EQ(chat.messages[2].content, "c");
  EXPECT_TRUE(chat.tools.told.is_null());
}

TEST(ChatFields, CallsBecomeTheModelsTextAndResultsGetTheirNames) {
  const std::string messages =
      R"({"role": "user", "content": "Hi"},
         {"role": "assistant", "content": null, "tool_calls": [
           {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
           {"id": "2", "type": "function", "function": {"name": "g", "arguments": ""}}]},
         {"role": "tool", "tool_call_id": "2", "content": "G"},
         {"role": "tool", "tool_call_id": "1", "content": [{"type": "text", "text": "F"}]})";
  const ChatFields m1 = read_messages(messages);
  EXPECT_EQ(m1.messages[1].content,
            "<tool_calls>\n{\"name\": \"f\", \"arguments\": {\"a\": 1}}\n"
            "{\"name\": \"g\", \"arguments\": {}}\n</tool_calls>");
  EXPECT_EQ(m1.messages[2].role, "tool");
  EXPECT_EQ(m1.messages[2].name, "g");
  EXPECT_EQ(m1.messages[2].content, "G");
  EXPECT_EQ(m1.messages[3].name, "f");
  const ChatFields text01 = read_messages(messages, ToolFormat::kText01);
  EXPECT_EQ(text01.messages[1].content,
            "<function_call>```typescript\nfunctions.f({\"a\": 1})\nfunctions.g({})\n```");
  EXPECT_EQ(text01.messages[3].role, "function");
}

TEST(ChatFields, ToolsAreUnwrappedAndKeepTheirKeys) {
  const ChatFields chat = read(with(std::string("\"tools\": [") + kTool + "]"));
  EXPECT_EQ(chat.tools.told.dump(),
            R"([{"name":"f","x":1,"description":"F.","parameters":{"type":"object"}}])");
  EXPECT_EQ(chat.tools.most_calls, 0U);
}

TEST(ChatFields, ChoiceDecidesWhetherThereAreTools) {
  const std::string tools = std::string("\"tools\": [") + kTool + "]";
  EXPECT_FALSE(read(with(tools + R"(, "tool_choice": "auto")")).tools.told.is_null());
  for (const ToolFormat format : {ToolFormat::kM1, ToolFormat::kNone}) {
    EXPECT_TRUE(read(with(tools + R"(, "tool_choice": "none")"), format).tools.told.is_null());
  }
  EXPECT_EQ(read(with(tools + R"(, "parallel_tool_calls": false)")).tools.most_calls, 1U);
  EXPECT_EQ(refused(with(tools + R"(, "tool_choice": {"type": "function", "function":
                                                      {"name": "other"}})")),
            "tool_choice");
  EXPECT_EQ(refused(with(tools + R"(, "tool_choice": "maybe")")), "tool_choice");
  EXPECT_EQ(refused(with(R"("tool_choice": "required")")), "tool_choice");
}

TEST(ChatFields, ChoiceMayDemandCalls) {
  const std::string tools = std::string("\"tools\": [") + kTool + "]";
  const ToolUse required =
      read(with(tools + R"(, "tool_choice": "required")"), ToolFormat::kText01).tools;
  EXPECT_EQ(required.demand.form, ToolFormat::kText01);
  EXPECT_FALSE(required.demand.one || required.demand.is_named);
  EXPECT_EQ(required.demand.schema_field, "function.parameters");
  EXPECT_FALSE(required.told.is_null());
  EXPECT_TRUE(read(with(tools + R"(, "tool_choice": "required", "parallel_tool_calls": false)"))
                  .tools.demand.one);
  const std::string named = R"(, "tool_choice": {"type": "function", "function": {"name": "f"}})";
  EXPECT_TRUE(read(with(tools + named)).tools.demand.is_named);
  EXPECT_EQ(read(with(tools + named), ToolFormat::kNone).tools.demand.form, ToolFormat::kM1);
  EXPECT_EQ(refused(with(tools + R"(, "tool_choice": {"type": "x"})")), "tool_choice.type");
  EXPECT_EQ(refused(with(tools + R"(, "tool_choice": {"type": "function"})")),
            "tool_choice.function");
  EXPECT_EQ(refused(with(tools + R"(, "tool_choice": 1)")), "tool_choice");
}

TEST(ChatFields, TemplatesWithoutAPlaceForToolsRefuseThem) {
  EXPECT_EQ(refused(with(std::string("\"tools\": [") + kTool + "]"), ToolFormat::kNone), "tools");
  EXPECT_EQ(
      refused_message(R"({"role": "function", "name": "f", "content": "x"})", ToolFormat::kNone),
      "messages[0].role");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "tool_calls": [{"id": "1", "function":
                                {"name": "f"}}]})",
                            ToolFormat::kNone),
            "messages[0].tool_calls");
}

TEST(ChatFields, WrongFieldsAreNamed) {
  EXPECT_EQ(refused("{}"), "messages");
  EXPECT_EQ(refused(R"({"messages": []})"), "messages");
  EXPECT_EQ(refused_message("1"), "messages[0]");
  EXPECT_EQ(refused_message(R"({"content": "x"})"), "messages[0].role");
  EXPECT_EQ(refused_message(R"({"role": "king", "content": "x"})"), "messages[0].role");
  EXPECT_EQ(refused_message(R"({"role": "user"})"), "messages[0].content");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "content": null})"), "messages[0].content");
  EXPECT_EQ(refused_message(R"({"role": "user", "content": [{"type": "image_url"}]})"),
            "messages[0].content[0].type");
  EXPECT_EQ(refused_message(R"({"role": "tool", "tool_call_id": "9", "content": "x"})"),
            "messages[0].tool_call_id");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "tool_calls": [{"id": "1", "function":
                                {"name": "f", "arguments": "[1]"}}]})"),
            "messages[0].tool_calls[0].function.arguments");
  EXPECT_EQ(refused_message(R"({"role": "assistant", "tool_calls": [{"id": "1", "function":
                                {"name": "f("}}]})"),
            "messages[0].tool_calls[0].function.name");
  EXPECT_EQ(refused(with(R"("tools": [{"type": "web"}])")), "tools[0].type");
  EXPECT_EQ(refused(with(R"("tools": [{"type": "function"}])")), "tools[0].function");
  EXPECT_EQ(refused(with(R"("tools": [{"function": {"name": "f", "parameters": 1}}])")),
            "tools[0].function.parameters");
  EXPECT_EQ(refused(with(std::string("\"tools\": [") + kTool + "," + kTool + "]")),
            "tools[1].function.name");
}

}  // namespace mm
