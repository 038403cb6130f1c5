#include "serve/chat_answer.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/mapped_file.h"
#include "serve/api_error.h"
#include "tests/serve/request_fixture.h"

namespace mm {

namespace {

using Kind = AnswerFormat::Kind;

/// The bundled tokenizer with M1's end of calls as a marker.
Tokenizer with_marker() {
  const std::string folder = std::string(MM_SOURCE_DIR) + "/models/mini";
  Json json = Json::parse(MappedFile(folder + "/tokenizer.json").text());
  for (Json& token : json["added_tokens"]) {
    if (token["content"] == "<image>") {
      token["content"] = "</tool_calls>";
    }
  }
  json["model"]["vocab"]["</tool_calls>"] = json["model"]["vocab"]["<image>"];
  json["model"]["vocab"].erase("<image>");
  return Tokenizer::from_json(json.dump(), "", "marked");
}

struct ChatAnswerTest : ::testing::Test {
  Tokenizer tokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  PromptBuilder prompts{ChatTemplate::parse(testing::kRequestTemplate, "test"), tokenizer};
  ServedModel model;
  ChatFields chat;
  GenerationRequest request;

  ChatAnswerTest() {
    model.tokenizer = &tokenizer;
    model.prompts = &prompts;
    model.tool_format = ToolFormat::kM1;
    chat.messages = {{.role = "user", .content = "Hi"}};
    request.stop_ids = {2};
  }
  void choose(ToolChoice::Kind kind, ToolFormat format = ToolFormat::kM1) {
    chat.tools = choose_tools({kind, "f"}, {{{"name", "f"}}}, true, format, "parameters");
  }
  ChatAnswer prepare(AnswerFormat asked = {}) {
    return prepare_chat_answer(chat, std::move(asked), model, request);
  }
};

}  // namespace

TEST_F(ChatAnswerTest, WithoutToolsAnswersAreTakenApartForThoughtsAlone) {
  const ChatAnswer answer = prepare();
  EXPECT_EQ(answer.format.kind, Kind::kAny);
  EXPECT_EQ(answer.parser.format, ToolFormat::kM1);
  EXPECT_FALSE(answer.parser.tools);
  EXPECT_EQ(render_chat(chat, model), "<user >Hi\n");
  EXPECT_EQ(tokenizer.decode(encode_chat(chat, model), {.skip_special = false}), "<user >Hi\n");
}

TEST_F(ChatAnswerTest, AFormatIsNotTakenApartAndRulesToolsOut) {
  const AnswerFormat format{Kind::kJsonObject, "", "response_format", "response_format.type"};
  EXPECT_EQ(prepare(format).parser.format, ToolFormat::kNone);
  for (const auto kind : {ToolChoice::Kind::kAuto, ToolChoice::Kind::kRequired}) {
    for (const auto of_template : {ToolFormat::kM1, ToolFormat::kNone}) {
      if (kind == ToolChoice::Kind::kAuto && of_template == ToolFormat::kNone) {
        continue;  // refused before
      }
      choose(kind, of_template);
      try {
        prepare(format);
        ADD_FAILURE() << "taken";
      } catch (const ApiError& error) {
        EXPECT_EQ(error.param, "response_format");
      }
    }
  }
}

TEST_F(ChatAnswerTest, ToolsThatMayBeCalledAreLookedFor) {
  choose(ToolChoice::Kind::kAuto);
  chat.tools.most_calls = 1;
  const ChatAnswer answer = prepare();
  EXPECT_EQ(answer.format.kind, Kind::kAny);
  EXPECT_TRUE(answer.parser.tools);
  EXPECT_EQ(answer.parser.most_calls, 1U);
  EXPECT_EQ(answer.parser.begun, "");
  EXPECT_EQ(render_chat(chat, model), "<user >Hi\n{\"name\": \"f\"}");
}

TEST_F(ChatAnswerTest, CallsThatMustComeAreOpenedInThePrompt) {
  choose(ToolChoice::Kind::kRequired);
  request.sampling.logit_bias = {{5, -std::numeric_limits<float>::infinity()}};
  const ChatAnswer answer = prepare();
  EXPECT_EQ(answer.format.kind, Kind::kCalls);
  EXPECT_EQ(answer.parser.begun, "<tool_calls>\n");
  EXPECT_EQ(render_chat(chat, model), "<user >Hi\n{\"name\": \"f\"}<tool_calls>\n");
  EXPECT_EQ(request.sampling.logit_bias[0].second, -100);  // the calls may need the token
  EXPECT_EQ(request.stop_ids, std::vector<int32_t>{2});
}

TEST_F(ChatAnswerTest, WithoutAPlaceForToolsTheyAreNotToldButCalledInM1sForm) {
  model.tool_format = ToolFormat::kNone;
  choose(ToolChoice::Kind::kNamed, ToolFormat::kNone);
  const ChatAnswer answer = prepare();
  EXPECT_EQ(answer.parser.format, ToolFormat::kM1);
  EXPECT_TRUE(answer.parser.tools);
  EXPECT_EQ(render_chat(chat, model), "<user >Hi\n<tool_calls>\n");
}

TEST_F(ChatAnswerTest, AClosingThatIsAMarkerEndsTheAnswer) {
  choose(ToolChoice::Kind::kRequired);
  const AnswerFormat as_text = prepare().format;
  const Tokenizer marked = with_marker();
  model.tokenizer = &marked;
  const AnswerFormat as_marker = prepare().format;
  EXPECT_EQ(request.stop_ids, (std::vector<int32_t>{2, 3}));
  EXPECT_NE(as_marker.text, as_text.text);
}

}  // namespace mm
