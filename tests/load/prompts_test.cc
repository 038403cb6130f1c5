#include "load/prompts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"

namespace mm {
namespace {

using testing::HasSubstr;

int64_t word_count(const std::string& text) {
  return std::count(text.begin(), text.end(), ' ') + 1;
}
/// The first `count` words.
std::string beginning(const std::string& text, int64_t count) {
  size_t end = 0;
  for (int64_t i = 0; i < count; ++i) {
    end = std::min(text.find(' ', end + 1), text.size());
  }
  return text.substr(0, end);
}

TEST(RandomPrompts, HaveTheLengthsThatWereAskedFor) {
  for (const int64_t tokens : {1, 2, 100}) {
    RandomPromptOptions options;
    options.input_tokens = tokens;
    options.output_tokens = 7;
    const LoadPrompt prompt = make_random_prompt(options, assume_words(), 3);
    EXPECT_EQ(word_count(prompt.text), tokens);
    EXPECT_EQ(prompt.tokens, tokens);
    EXPECT_EQ(prompt.output_tokens, 7);
    EXPECT_EQ(prompt.messages, "");
  }
}

TEST(RandomPrompts, LengthsFillTheirRange) {
  RandomPromptOptions options;
  options.input_tokens = 10;
  options.output_tokens = 20;
  options.range_ratio = 0.5;
  std::set<int64_t> inputs, outputs;
  // Each of the 21 lengths is missed by all 1,000 draws with a chance of (20/21)^1000 = 6e-22.
  for (int64_t i = 0; i < 1000; ++i) {
    const LoadPrompt prompt = make_random_prompt(options, assume_words(), i);
    EXPECT_EQ(word_count(prompt.text), prompt.tokens);
    inputs.insert(prompt.tokens);
    outputs.insert(prompt.output_tokens);
  }
  EXPECT_EQ(inputs.size(), 11);
  EXPECT_EQ(*inputs.begin(), 5);
  EXPECT_EQ(*inputs.rbegin(), 15);
  EXPECT_EQ(outputs.size(), 21);
  EXPECT_EQ(*outputs.begin(), 10);
  EXPECT_EQ(*outputs.rbegin(), 30);
}

TEST(RandomPrompts, DifferByIndexAndSeedAlone) {
  RandomPromptOptions options;
  options.seed = 5;
  const std::string first = make_random_prompt(options, assume_words(), 0).text;
  EXPECT_EQ(make_random_prompt(options, assume_words(), 0).text, first);
  EXPECT_NE(make_random_prompt(options, assume_words(), 1).text, first);
  options.seed = 6;
  EXPECT_NE(make_random_prompt(options, assume_words(), 0).text, first);
}

TEST(RandomPrompts, GroupsShareTheirPrefix) {
  RandomPromptOptions options;
  options.input_tokens = 8;
  options.shared_tokens = 50;
  options.groups = 2;
  std::vector<std::string> texts;
  for (int64_t i = 0; i < 4; ++i) {
    const LoadPrompt prompt = make_random_prompt(options, assume_words(), i);
    EXPECT_EQ(prompt.tokens, 58);
    EXPECT_EQ(word_count(prompt.text), 58);
    texts.push_back(prompt.text);
  }
  EXPECT_EQ(beginning(texts[0], 50), beginning(texts[2], 50));
  EXPECT_EQ(beginning(texts[1], 50), beginning(texts[3], 50));
  // Of 473 words; that the next is the same by chance is no error, but the seed is fixed.
  EXPECT_NE(beginning(texts[0], 51), beginning(texts[2], 51));
  EXPECT_NE(beginning(texts[0], 2), beginning(texts[1], 2));
}

TEST(RandomPrompts, APrefixOfOneTokenIsTheOpener) {
  RandomPromptOptions options;
  options.input_tokens = 1;
  options.shared_tokens = 1;
  EXPECT_EQ(word_count(make_random_prompt(options, assume_words(), 0).text), 2);
}

TEST(PromptFile, HasOneALine) {
  const auto prompts = parse_prompts("one\r\n\n two words\nlast", "f", 9);
  ASSERT_EQ(prompts.size(), 3);
  EXPECT_EQ(prompts[0].text, "one");
  EXPECT_EQ(prompts[1].text, " two words");
  EXPECT_EQ(prompts[2].text, "last");
  EXPECT_EQ(prompts[2].output_tokens, 9);
}

TEST(PromptFile, MayHoldObjects) {
  const auto prompts = parse_prompts(R"({"prompt": "a\nb", "output_tokens": 3}
{"messages": [{"role": "user", "content": "c"}], "other": 1}
)",
                                     "f", 9);
  ASSERT_EQ(prompts.size(), 2);
  EXPECT_EQ(prompts[0].text, "a\nb");
  EXPECT_EQ(prompts[0].output_tokens, 3);
  EXPECT_EQ(prompts[1].text, "");
  EXPECT_EQ(prompts[1].messages, R"([{"role":"user","content":"c"}])");
  EXPECT_EQ(prompts[1].output_tokens, 9);
}

TEST(PromptFile, ErrorsNameTheLine) {
  for (const char* line : {"x", "{}", R"({"prompt": "a", "messages": []})", R"({"prompt": 1})",
                           R"({"messages": {}})", R"({"prompt": "a", "output_tokens": 0})"}) {
    try {
      parse_prompts(std::string("{\"prompt\": \"a\"}\n\n") + line + "\n", "file", 1);
      FAIL() << line;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput);
      EXPECT_THAT(error.what(), HasSubstr("file:3")) << line;
    }
  }
  EXPECT_THROW(parse_prompts("\n\n", "file", 1), Error);
}

}  // namespace
}  // namespace mm
