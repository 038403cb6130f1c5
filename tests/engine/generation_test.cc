/// Generation on the bundled model: it has a real tokenizer and ends its answers.
#include "engine/generation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "base/error.h"
#include "base/json_value.h"
#include "engine/generation_config.h"
#include "engine/prompt.h"
#include "model/weights.h"
#include "text/grammar.h"
#include "text/utf8.h"

namespace mm {
namespace {

/// The model is loaded once: every test has its own engine.
struct Mini {
  std::string folder = std::string(MM_SOURCE_DIR) + "/models/mini";
  Model model = load_model(folder);
  Tokenizer tokenizer = Tokenizer::load(folder);
  PromptBuilder prompts{folder, tokenizer};

  static const Mini& get() {
    static const Mini kMini;
    return kMini;
  }
  std::unique_ptr<Engine> engine(int64_t context = 512, int threads = 1) const {
    EngineOptions options;
    options.threads = threads;
    options.context_size = context;
    options.step_tokens = 65;
    return std::make_unique<Engine>(model, options);
  }
  GenerationRequest request(const std::string& question, int64_t max_tokens = 40) const {
    GenerationRequest request;
    request.prompt = prompts.encode({{"user", question}});
    request.stop_ids = model.config.eos_ids;
    request.max_tokens = max_tokens;
    return request;
  }
  GenerationResult generate(const GenerationRequest& request) const {
    return mm::generate(*engine(), tokenizer, request, {});
  }
};

TEST(Generation, PiecesJoinToTheTextAndAreWholeCharacters) {
  const Mini& mini = Mini::get();
  std::string joined;
  GenerationCallbacks callbacks;
  callbacks.on_text = [&](const std::string& piece) {
    EXPECT_EQ(utf8::find_invalid(piece), std::string_view::npos);
    EXPECT_FALSE(piece.empty());
    joined += piece;
    return true;
  };
  const auto engine = mini.engine();
  const GenerationRequest request = mini.request("Tell me a story about a dog.");
  const GenerationResult result = generate(*engine, mini.tokenizer, request, callbacks);
  EXPECT_EQ(joined, result.text);
  EXPECT_EQ(result.text, mini.tokenizer.decode(result.ids));
  EXPECT_EQ(result.usage.prompt_tokens, static_cast<int64_t>(request.prompt.size()));
  EXPECT_EQ(result.usage.generated_tokens, 40);
  EXPECT_EQ(result.usage.computed_tokens, result.usage.prompt_tokens + 39);
  EXPECT_EQ(result.reason, FinishReason::kLength);
  EXPECT_EQ(result.ids.size(), 40u);
  EXPECT_TRUE(engine->idle());
  engine->check_integrity();
}

TEST(Generation, TokensComeWithTheLogitsTheyWereDrawnFrom) {
  const Mini& mini = Mini::get();
  std::vector<int32_t> ids;
  GenerationCallbacks callbacks;
  callbacks.on_token = [&](int32_t id, std::span<const float> logits) {
    ASSERT_EQ(static_cast<int64_t>(logits.size()), mini.model.config.vocab_size);
    EXPECT_EQ(*std::max_element(logits.begin(), logits.end()), logits[static_cast<size_t>(id)]);
    ids.push_back(id);
  };
  GenerationRequest request = mini.request("Hi", 200);
  request.wants_logits = true;
  GenerationResult result = generate(*mini.engine(), mini.tokenizer, request, callbacks);
  ASSERT_EQ(result.reason, FinishReason::kStop);
  result.ids.pop_back();  // the stop id is no part of the text
  EXPECT_EQ(ids, result.ids);
}

TEST(Generation, TheEndOfSequenceEndsIt) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Hi", 200);
  const GenerationResult result = mini.generate(request);
  EXPECT_EQ(result.reason, FinishReason::kStop);
  EXPECT_EQ(result.ids.back(), request.stop_ids.front());
  EXPECT_THAT(result.text, testing::Not(testing::HasSubstr("<end_of_sentence>")));
  request.show_special = true;
  EXPECT_EQ(mini.generate(request).text, result.text + "<end_of_sentence>");
  request.ignore_eos = true;
  EXPECT_GT(mini.generate(request).ids.size(), result.ids.size());
}

TEST(Generation, StopStringsAreFoundAcrossTokensAndNotShown) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Tell me a story about a dog.");
  const std::string text = mini.generate(request).text;
  const std::string stop = text.substr(text.size() / 2, 7);  // starts and ends inside words
  request.stops = {"no such text", stop};
  std::string shown;
  GenerationCallbacks callbacks;
  callbacks.on_text = [&](const std::string& piece) {
    shown += piece;
    return true;
  };
  const GenerationResult result = generate(*mini.engine(), mini.tokenizer, request, callbacks);
  EXPECT_EQ(result.reason, FinishReason::kStop);
  EXPECT_EQ(result.stop, stop);
  EXPECT_EQ(result.text, text.substr(0, text.find(stop)));
  EXPECT_EQ(shown, result.text);
}

TEST(Generation, TextHeldBackForAStopThatNeverComesIsReleased) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Tell me a story about a dog.", 10);
  const std::string text = mini.generate(request).text;
  request.stops = {text.substr(text.size() - 3) + "and never this"};
  const GenerationResult result = mini.generate(request);
  EXPECT_EQ(result.text, text);
  EXPECT_EQ(result.reason, FinishReason::kLength);
  EXPECT_EQ(result.stop, "");
}

TEST(Generation, CallbacksCancel) {
  const Mini& mini = Mini::get();
  const GenerationRequest request = mini.request("Tell me a story about a dog.");
  int pieces = 0;
  GenerationCallbacks enough;
  enough.on_text = [&](const std::string&) { return ++pieces < 3; };
  const GenerationResult stopped = generate(*mini.engine(), mini.tokenizer, request, enough);
  EXPECT_EQ(stopped.reason, FinishReason::kCancelled);
  EXPECT_EQ(pieces, 3);
  const auto engine = mini.engine();
  const GenerationResult none = generate(*engine, mini.tokenizer, request, {}, [] { return true; });
  EXPECT_EQ(none.reason, FinishReason::kCancelled);
  EXPECT_TRUE(none.ids.empty());
  EXPECT_EQ(none.usage.computed_tokens, 0);
  GenerationCallbacks early;
  early.on_prefill = [](int64_t, int64_t) { return false; };
  const GenerationResult first_part = generate(*engine, mini.tokenizer, request, early);
  EXPECT_EQ(first_part.reason, FinishReason::kCancelled);
  engine->check_integrity();
}

TEST(Generation, AFullContextEndsIt) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Tell me a story about a dog.", -1);
  const int64_t size = static_cast<int64_t>(request.prompt.size()) + 5;
  const GenerationResult result = generate(*mini.engine(size), mini.tokenizer, request, {});
  EXPECT_EQ(result.reason, FinishReason::kContextFull);
  EXPECT_EQ(result.ids.size(), 6u);  // the last one is drawn but has no place any more
  EXPECT_EQ(result.usage.computed_tokens, size);
  EXPECT_THROW(generate(*mini.engine(4), mini.tokenizer, request, {}), Error);
}

TEST(Generation, NoTokensWantedMeansAPrefillOnly) {
  const Mini& mini = Mini::get();
  const GenerationResult result = mini.generate(mini.request("Hi", 0));
  EXPECT_TRUE(result.ids.empty());
  EXPECT_EQ(result.reason, FinishReason::kLength);
}

TEST(Generation, GoingOnEqualsStartingOver) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Tell me a story about a dog.", 60);
  request.sampling.temperature = 1;
  request.sampling.repetition_penalty = 1.3f;
  const auto engine = mini.engine();
  const GenerationResult first = generate(*engine, mini.tokenizer, request, {});
  GenerationRequest more = request;
  more.prompt.insert(more.prompt.end(), first.ids.begin(), first.ids.end());
  const GenerationResult warm = generate(*engine, mini.tokenizer, more, {});
  EXPECT_EQ(warm.usage.cached_tokens, 64);
  EXPECT_EQ(mini.generate(more).ids, warm.ids);
}

TEST(Generation, TheSeedDecidesNotTheThreads) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Tell me a story about a dog.", 30);
  request.sampling.temperature = 1.2f;
  request.sampling.top_p = 0.95f;
  request.sampling.seed = 4;
  const GenerationResult one = generate(*mini.engine(512, 1), mini.tokenizer, request, {});
  const GenerationResult three = generate(*mini.engine(512, 3), mini.tokenizer, request, {});
  EXPECT_EQ(one.ids, three.ids);
  request.sampling.seed = 5;
  EXPECT_NE(mini.generate(request).ids, one.ids);
}

TEST(Generation, WrongRequestsAreRefused) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Hi");
  request.sampling.top_p = 0;
  EXPECT_THROW(mini.generate(request), Error);
  request = mini.request("Hi");
  request.prompt = {};
  EXPECT_THROW(mini.generate(request), Error);
  request.prompt = {1, 100000};
  EXPECT_THROW(mini.generate(request), Error);
  request = mini.request("Hi");
  request.stops = {""};
  EXPECT_THROW(mini.generate(request), Error);
}

std::shared_ptr<const TokenTrie> mini_trie() {
  const Mini& mini = Mini::get();
  return std::make_shared<const TokenTrie>(mini.tokenizer, mini.model.zero_rows);
}

constexpr const char* kAnimalSchema = R"({
  "type": "object",
  "properties": {
    "name": {"type": "string", "maxLength": 12},
    "legs": {"type": "integer", "minimum": 0, "maximum": 8},
    "kind": {"enum": ["cat", "dog"]}
  },
  "required": ["name", "legs", "kind"]
})";

TEST(GenerationByGrammar, TheAnswerIsOneOfTheGrammar) {
  const Mini& mini = Mini::get();
  const auto grammar = Grammar::from_json_schema(kAnimalSchema, mini_trie());
  for (const uint64_t seed : {1u, 2u, 3u, 4u}) {
    GenerationRequest request = mini.request("Tell me about a dog.", 400);
    request.grammar = grammar;
    request.sampling.temperature = seed == 1 ? 0.0f : 1.5f;
    request.sampling.seed = seed;
    const GenerationResult result = mini.generate(request);
    EXPECT_EQ(result.reason, FinishReason::kStop);
    const Json value = Json::parse(result.text);
    EXPECT_LE(value.at("name").get<std::string>().size(), 48u);
    EXPECT_TRUE(value.at("legs").is_number_integer());
    EXPECT_LE(value.at("legs").get<int>(), 8);
    EXPECT_TRUE(value.at("kind") == "cat" || value.at("kind") == "dog");
    EXPECT_EQ(value.size(), 3u);
  }
}

TEST(GenerationByGrammar, EndsWhereNothingCanFollowEvenWithoutStops) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Hi", 100);
  request.grammar = Grammar::from_text(R"(root ::= "yes" | "no")", mini_trie());
  for (const bool ignores : {false, true}) {
    request.ignore_eos = ignores;
    const GenerationResult result = mini.generate(request);
    EXPECT_TRUE(result.text == "yes" || result.text == "no") << result.text;
    EXPECT_EQ(result.reason, FinishReason::kStop);
  }
}

TEST(GenerationByGrammar, TheEndIsDrawnOnlyWhereTheTextMayEnd) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Hi", 200);
  const GenerationResult free = mini.generate(request);
  ASSERT_EQ(free.reason, FinishReason::kStop);  // it wants to end
  request.grammar = Grammar::from_text(R"(root ::= [^\x00]{50} "."?)", mini_trie());
  const GenerationResult result = mini.generate(request);
  EXPECT_EQ(result.reason, FinishReason::kStop);
  EXPECT_GE(result.text.size(), 50u);
  // The text that the model wants anyway is not changed by a grammar that allows it.
  request.grammar = Grammar::from_text("root ::= .*", mini_trie());
  EXPECT_EQ(mini.generate(request).ids, free.ids);
}

TEST(GenerationByGrammar, AnEmptyTextNeedsATokenToEndIt) {
  const Mini& mini = Mini::get();
  GenerationRequest request = mini.request("Hi", 10);
  request.grammar = Grammar::from_text(R"(root ::= "")", mini_trie());
  const GenerationResult result = mini.generate(request);
  EXPECT_EQ(result.text, "");
  EXPECT_EQ(result.ids, std::vector<int32_t>{request.stop_ids.front()});
  request.ignore_eos = true;
  EXPECT_THROW(mini.generate(request), Error);
}

/// Sequences with and without grammars in one batch, short of pages so that some are preempted.
TEST(GenerationByGrammar, BatchEqualsSingle) {
  const Mini& mini = Mini::get();
  const auto schema = Grammar::from_json_schema(kAnimalSchema, mini_trie());
  const auto list = Grammar::from_text(R"(root ::= "- " [a-z ]+ ("\n- " [a-z ]+)*)", mini_trie());
  std::vector<GenerationRequest> requests;
  for (int i = 0; i < 6; ++i) {
    requests.push_back(
        mini.request("Tell me about " + std::string(i % 2 == 0 ? "a dog." : "rain."), 30 + 5 * i));
    requests.back().sampling.temperature = 1;
    requests.back().sampling.seed = static_cast<uint64_t>(i);
    requests.back().grammar = i % 3 == 0 ? schema : i % 3 == 1 ? list : nullptr;
  }
  EngineOptions options;
  options.threads = 2;
  options.context_size = 256;
  options.max_sequences = 4;
  options.step_tokens = 70;
  Engine engine(mini.model, options);
  std::vector<GenerationResult> together(requests.size());
  for (size_t i = 0; i < requests.size(); ++i) {
    GenerationCallbacks callbacks;
    callbacks.on_end = [&, i](const GenerationResult& result) { together[i] = result; };
    submit_generation(engine, mini.tokenizer, requests[i], callbacks);
  }
  while (engine.step()) {
  }
  for (size_t i = 0; i < requests.size(); ++i) {
    EXPECT_EQ(together[i].error, "");
    EXPECT_EQ(together[i].ids, mini.generate(requests[i]).ids) << i;
  }
}

}  // namespace
}  // namespace mm
