#include "engine/prompt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/json.h"

namespace mm {
namespace {

const std::string kFolder = std::string(MM_SOURCE_DIR) + "/models/mini";

TEST(PromptBuilder, RendersAConversationAndOpensTheModelsTurn) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  const PromptBuilder prompts(kFolder, tokenizer);
  EXPECT_EQ(prompts.render({{"system", "You are kind."},
                            {"user", "Hi"},
                            {"assistant", "Hello!"},
                            {"user", "Tell me more"}}),
            "<beginning_of_sentence>system ai_setting=assistant\nYou are kind.<end_of_sentence>\n"
            "<beginning_of_sentence>user name=user\nHi<end_of_sentence>\n"
            "<beginning_of_sentence>ai name=assistant\nHello!<end_of_sentence>\n"
            "<beginning_of_sentence>user name=user\nTell me more<end_of_sentence>\n"
            "<beginning_of_sentence>ai name=assistant\n");
}

TEST(PromptBuilder, EncodesTheGoldenPrompts) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  const PromptBuilder prompts(kFolder, tokenizer);
  const JsonDocument golden =
      JsonDocument::read(std::string(MM_SOURCE_DIR) + "/tests/golden/mini/golden.json");
  std::vector<int32_t> story;
  for (const JsonView& id : golden.root().elements("golden").at(0).find("ids")->elements("ids")) {
    story.push_back(static_cast<int32_t>(id.as_int("id")));
  }
  EXPECT_EQ(prompts.encode({{"user", "Tell me a story about a dog."}}), story);
}

TEST(PromptBuilder, GivesTheTemplateToolsAndTheNamesOfResults) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  const PromptBuilder prompts(
      ChatTemplate::parse("{% for m in messages %}{{ m['role'] }} {{ m['name'] }}: "
                          "{{ m['content'] }}\n{% endfor %}"
                          "{% for t in tools %}{{ t | tojson }}{% endfor %}",
                          "test"),
      tokenizer);
  EXPECT_TRUE(prompts.accepts_tools());
  EXPECT_FALSE(PromptBuilder(kFolder, tokenizer).accepts_tools());
  const Json tools = Json::array({{{"name", "f"}, {"description", "F."}}});
  EXPECT_EQ(prompts.render({{"user", "Hi"}, {"tool", "4", "f"}}, tools),
            "user : Hi\ntool f: 4\n{\"name\": \"f\", \"description\": \"F.\"}");
}

TEST(PromptBuilder, AFolderWithoutATemplateSaysWhatToDo) {
  const Tokenizer tokenizer = Tokenizer::load(kFolder);
  try {
    const PromptBuilder prompts(std::string(MM_SOURCE_DIR) + "/tests/golden/tiny", tokenizer);
    FAIL() << "expected an error";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kNotFound);
    EXPECT_THAT(error.what(), testing::HasSubstr("--raw"));
  }
}

}  // namespace
}  // namespace mm
