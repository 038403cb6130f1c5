#include "serve/context_chat.h"

#include <gtest/gtest.h>

#include "engine/context_notes.h"
#include "serve/api_error.h"
#include "tests/cache/context_fixture.h"

namespace mm {

namespace {

const char* const kTemplate =
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>";

struct ContextChatTest : ContextStoreFixture {
  ContextChatTest() {
    model.context_size = 1000;
    model.tokenizer = &tokenizer;
    model.prompts = &prompts;
    model.binding = context_.binding;
    job.requests.resize(2);
  }
  /// A context with these notes.
  void create(const std::string& name, const ContextNotes& notes) {
    notes.write(context_.metadata);
    make(name, tokens);
  }
  /// What the turns add to the context; both choices must have the same.
  std::string added(const std::string& name, const std::vector<ChatMessage>& turns) {
    go_on_from_context(store_, name, turns, model, job);
    EXPECT_TRUE(job.prepare);
    const std::vector<int32_t>& prompt = job.requests[0].prompt;
    EXPECT_EQ(job.requests[1].prompt, prompt);
    EXPECT_EQ(job.requests[1].known_tokens, 390);
    EXPECT_TRUE(std::equal(tokens.begin(), tokens.end(), prompt.begin()));
    return tokenizer.decode({prompt.begin() + 390, prompt.end()}, {.skip_special = false});
  }

  const Tokens tokens = random_tokens(390, 1);
  Tokenizer tokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  PromptBuilder prompts{ChatTemplate::parse(kTemplate, "test"), tokenizer};
  ServedModel model;
  GenerationJobOptions job;
};

}  // namespace

TEST_F(ContextChatTest, GoesOnWhereTheConversationStands) {
  create("open", {});
  ContextNotes closed;
  closed.turn_is_open = false;
  create("closed", closed);
  const std::vector<ChatMessage> turns = {{"user", "a"}, {"assistant", "b"}, {"user", "c"}};
  EXPECT_EQ(added("open", turns), "\n\na\n<assistant>b\n<user>c\n<assistant>");
  EXPECT_EQ(added("closed", turns), "\n<user>a\n<assistant>b\n<user>c\n<assistant>");
}

TEST_F(ContextChatTest, RawContextsTakeOneTextAsItIs) {
  ContextNotes raw;
  raw.raw = true;
  create("raw", raw);
  EXPECT_EQ(added("raw", {{"user", "as it is"}}), "as it is");
  EXPECT_THROW(added("raw", {{"user", "a"}, {"assistant", "b"}, {"user", "c"}}), ApiError);
}

TEST_F(ContextChatTest, SaysWhyAContextCannotBeUsed) {
  create("a", {});
  ContextNotes half;
  half.pending_tokens = 1000;
  create("half", half);
  const std::vector<ChatMessage> turns = {{"user", "a"}};
  const auto open = [&](const char* name) {
    return [&, name] { go_on_from_context(store_, name, turns, model, job); };
  };
  expect_error(ErrorKind::kNotFound, "none", open("none"));
  expect_error(ErrorKind::kBadInput, "interrupted at token 390 of 1000", open("half"));
  model.context_size = 390;
  expect_error(ErrorKind::kTooLarge, "390", open("a"));
  model.context_size = 1000;
  model.binding.model_hash = "model-2";
  expect_error(ErrorKind::kBadInput, "model-2", open("a"));
}

}  // namespace mm
