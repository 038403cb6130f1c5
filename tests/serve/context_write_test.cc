#include "serve/context_write.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "engine/context_plan.h"
#include "serve/contexts_api.h"
#include "tests/cache/context_fixture.h"
#include "tests/engine/golden.h"
#include "tests/serve/fake_exchange.h"

namespace mm {

namespace {

const char* const kTemplate =
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}\n{% endfor %}<assistant>";

/// `words` words, each a token or more.
std::string story(int words) {
  std::string text;
  for (int i = 0; i < words; ++i) {
    text += i % 3 == 0 ? " king" : i % 5 == 0 ? " river" : " the";
  }
  return text;
}

/// The routes over an empty store, with the bundled model behind them.
struct ContextWriteTest : ::testing::Test {
  ContextWriteTest() {
    served.context_size = engine.context_size();
    served.tokenizer = &tokenizer;
    served.prompts = &prompts;
    served.backend = "test";
    served.folder = "/secret/folder";
    served.binding = context_binding(engine, "0123456789abcdef0123456789abcdef");
    served.max_sequences = 4;
    served.loop = &loop;
    state->model = &served;
    add_context_routes(router, state, store, threads);
  }

  std::shared_ptr<FakeExchange> post(const std::string& path, const Json& body,
                                     int writes_until_gone = -1) {
    HttpRequest request;
    request.method = "POST";
    request.path = path;
    request.body = body.dump();
    const auto exchange = std::make_shared<FakeExchange>();
    exchange->writes_until_gone = writes_until_gone;
    router.handle(request, exchange);
    exchange->wait();
    return exchange;
  }
  /// A whole answer of the expected status.
  Json ask(const std::string& path, const Json& body, int status) {
    const auto exchange = post(path, body);
    EXPECT_EQ(exchange->head.status, status) << exchange->body;
    return Json::parse(exchange->body);
  }
  Json create(const std::string& name, const std::string& text, int status = 201) {
    return ask("/v1/contexts", {{"name", name}, {"text", text}}, status);
  }
  /// The events of a stream, [DONE] checked and left out.
  std::vector<Json> events(const FakeExchange& exchange) const {
    EXPECT_EQ(exchange.head.content_type, "text/event-stream");
    std::vector<Json> found;
    std::string rest = exchange.body;
    const std::string done = "data: [DONE]\n\n";
    while (rest.compare(0, 6, "data: ") == 0 && rest != done) {
      const size_t end = rest.find("\n\n");
      found.push_back(Json::parse(rest.substr(6, end - 6)));
      rest.erase(0, end + 2);
    }
    EXPECT_EQ(rest, done);
    return found;
  }
  /// Places in the queue that are taken when the engine has done what it was given.
  int active() {
    loop.run([](Engine&) {});
    return state->active;
  }
  std::vector<int32_t> stored(const std::string& name) const {
    return store.open_reader(name, served.binding).tokens();
  }
  std::vector<int32_t> encode(const std::string& text) const { return tokenizer.encode(text); }

  Model model = testing::load_named_model("mini");
  Tokenizer tokenizer = Tokenizer::load(testing::source_folder() + "/models/mini");
  PromptBuilder prompts{ChatTemplate::parse(kTemplate, "test"), tokenizer};
  Engine engine{model,
                {.threads = 1,
                 .context_size = 1024,
                 .max_sequences = 4,
                 .step_tokens = 128,
                 .checkpoint_every = 128}};
  TemporaryFolder folder;
  ContextStore store{folder.path()};
  ServedModel served;
  std::shared_ptr<ServerState> state = std::make_shared<ServerState>();
  EngineLoop loop{engine};
  WorkThreads threads{2};
  Router router{AccessOptions{}};
};

}  // namespace

TEST_F(ContextWriteTest, WritesWhatTheProgramWould) {
  const Json made = create("a", story(300));
  const std::vector<int32_t> tokens = encode("<user>" + story(300));
  EXPECT_EQ(made["object"], "context");
  EXPECT_EQ(made["name"], "a");
  EXPECT_EQ(made["tokens"], tokens.size());
  EXPECT_EQ(made["complete"], true);
  EXPECT_EQ(made["usage"]["computed_tokens"], tokens.size() / 64 * 64);
  EXPECT_EQ(made.dump().find("secret"), std::string::npos);
  EXPECT_EQ(stored("a"), tokens);
  EXPECT_EQ(store.show("a").metadata.at("model"), "/secret/folder");
  EXPECT_EQ(store.show("a").checkpoints().front(), 128);
  EXPECT_EQ(active(), 0);
  // The same again is no error: whoever did not hear of the end may ask again.
  EXPECT_EQ(create("a", story(300), 200)["tokens"], tokens.size());
  EXPECT_EQ(create("a", story(301), 409)["error"]["code"], "conflict");
}

TEST_F(ContextWriteTest, AppendsAtTheEnd) {
  create("a", story(200));
  const Json grown = ask("/v1/contexts/a/append", {{"text", " and" + story(100)}}, 200);
  std::vector<int32_t> tokens = encode("<user>" + story(200));
  const size_t before = tokens.size() / 64 * 64;
  const std::vector<int32_t> added = encode(" and" + story(100));
  tokens.insert(tokens.end(), added.begin(), added.end());
  EXPECT_EQ(grown["tokens"], tokens.size());
  EXPECT_EQ(grown["usage"]["computed_tokens"], tokens.size() / 64 * 64 - before);
  EXPECT_EQ(stored("a"), tokens);
  ask("/v1/contexts/none/append", {{"text", "x"}}, 404);
}

TEST_F(ContextWriteTest, AppendsToAClosedTurnInANewOne) {
  ContextNotes notes;
  notes.turn_is_open = false;
  NewContext context{.binding = served.binding, .backend = "test", .codec = {}, .metadata = {}};
  notes.write(context.metadata);
  {
    ContextWriter writer = store.create("a", context);
    writer.commit();
  }
  EXPECT_EQ(ask("/v1/contexts/a/append", {{"text", "Hi"}}, 200)["turn_is_open"], true);
  EXPECT_EQ(stored("a"), encode("\n<user>Hi"));
}

TEST_F(ContextWriteTest, RawTextAndDocuments) {
  ask("/v1/contexts", {{"name", "raw"}, {"documents", {"one", "two"}}, {"raw", true}}, 201);
  EXPECT_EQ(stored("raw"), encode("one\n\ntwo"));
  EXPECT_TRUE(ContextNotes::read(store.show("raw")).raw);
  ask("/v1/contexts/raw/append", {{"text", " three"}}, 200);
  EXPECT_TRUE(ContextNotes::read(store.show("raw")).raw);
  served.prompts = nullptr;  // a model without a template has no other kind
  create("plain", "one");
  EXPECT_EQ(stored("plain"), encode("one"));
}

TEST_F(ContextWriteTest, StreamsProgress) {
  const auto exchange =
      post("/v1/contexts", {{"name", "a"}, {"text", story(300)}, {"stream", true}});
  EXPECT_EQ(exchange->head.status, 200);
  const std::vector<Json> all = events(*exchange);
  const int64_t total = static_cast<int64_t>(stored("a").size());
  ASSERT_GE(all.size(), 5U);
  int64_t last = 0;
  for (size_t i = 0; i + 1 < all.size(); ++i) {
    const Json& progress = all[i]["context_progress"];
    EXPECT_EQ(progress["total"], total);
    EXPECT_GE(progress["processed"], last);
    last = progress["processed"];
  }
  EXPECT_EQ(all.front()["context_progress"]["processed"], 0);
  EXPECT_EQ(last, total);
  EXPECT_EQ(all.back()["context"]["tokens"], total);
  // Done already: the same form.
  const std::vector<Json> again =
      events(*post("/v1/contexts", {{"name", "a"}, {"text", story(300)}, {"stream", true}}));
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again[0]["context"]["tokens"], total);
}

TEST_F(ContextWriteTest, WhatAClientLeftGoesOn) {
  const Json body = {{"name", "a"}, {"text", story(600)}, {"stream", true}};
  post("/v1/contexts", body, 3);
  const ContextManifest half = store.show("a");
  EXPECT_GE(half.token_count(), 128);
  EXPECT_LT(half.token_count(), 600);
  EXPECT_GT(ContextNotes::read(half).pending_tokens, 0);
  EXPECT_EQ(create("a", "other", 409)["error"]["code"], "conflict");
  const Json made = create("a", story(600));
  EXPECT_GE(made["usage"]["cached_tokens"], half.token_count());
  EXPECT_TRUE(store.verify("a").ok());
  EXPECT_EQ(stored("a"), encode("<user>" + story(600)));
  // An append in the same way.
  const Json more = {{"text", " and" + story(300)}, {"stream", true}};
  post("/v1/contexts/a/append", more, 2);
  EXPECT_GT(ContextNotes::read(store.show("a")).pending_tokens, 0);
  EXPECT_NE(ask("/v1/contexts/a/append", {{"text", "x"}}, 400).dump().find("interrupted"),
            std::string::npos);
  EXPECT_EQ(events(*post("/v1/contexts/a/append", more)).back()["context"]["complete"], true);
  EXPECT_EQ(active(), 0);
}

TEST_F(ContextWriteTest, AWriterAtATime) {
  create("a", "some text");
  const ContextWriter writer = store.open_writer("a", served.binding);
  EXPECT_EQ(ask("/v1/contexts/a/append", {{"text", "x"}}, 409)["error"]["code"], "conflict");
  create("a", "some text", 409);
}

TEST_F(ContextWriteTest, SaysWhatIsWrong) {
  const auto refused = [&](const Json& body) {
    return ask("/v1/contexts", body, 400)["error"]["param"];
  };
  EXPECT_EQ(refused({{"text", "x"}}), "name");
  EXPECT_EQ(refused({{"name", "../x"}, {"text", "x"}}), "name");
  EXPECT_EQ(refused({{"name", "x"}}), "text");
  EXPECT_EQ(refused({{"name", "x"}, {"text", ""}}), "text");
  EXPECT_EQ(refused({{"name", "x"}, {"documents", Json::array()}}), "documents");
  EXPECT_EQ(refused({{"name", "x"}, {"documents", {"a", 1}}}), "documents[1]");
  EXPECT_EQ(refused({{"name", "x"}, {"text", "x"}, {"documents", {"a"}}}), "documents");
  EXPECT_EQ(refused({{"name", "x"}, {"text", "x"}, {"checkpoint_every", 100}}), "checkpoint_every");
  EXPECT_EQ(refused({{"name", "x"}, {"text", "x"}, {"stream", 1}}), "stream");
  const Json error = create("x", story(2000), 400)["error"];
  EXPECT_EQ(error["code"], "context_length_exceeded");
  const size_t count = encode("<user>" + story(2000)).size();
  EXPECT_NE(error["message"].dump().find(std::to_string(count)), std::string::npos);
  EXPECT_NE(error["message"].dump().find("1024"), std::string::npos);
  create("a", "x");
  ask("/v1/contexts/a/append", {{"text", story(2000)}}, 400);
  EXPECT_EQ(ContextNotes::read(store.show("a")).pending_tokens, 0);
  EXPECT_EQ(store.list().size(), 1U);
}

TEST_F(ContextWriteTest, AFullQueueRefuses) {
  state->max_queue = 0;
  served.max_sequences = 0;
  EXPECT_EQ(create("a", "x", 429)["error"]["code"], "queue_full");
  EXPECT_FALSE(store.exists("a"));
}

// A limit on file sizes stands for a full disk: the same call fails in the same place.
TEST_F(ContextWriteTest, AFullDiskIsToldAsSuch) {
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const auto limit = [&](rlim_t bytes) {
    const rlimit small{bytes, before.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  };
  limit(1);
  const Json error = create("a", story(300), 507)["error"];
  limit(8000);  // room for manifests
  const auto streamed =
      post("/v1/contexts", {{"name", "a"}, {"text", story(300)}, {"stream", true}});
  limit(before.rlim_cur);
  std::signal(SIGXFSZ, handler);
  EXPECT_EQ(error["code"], "disk_full");
  EXPECT_EQ(error.dump().find(folder.path()), std::string::npos);
  EXPECT_EQ(events(*streamed).back()["error"]["code"], "disk_full");
  create("a", story(300));
  EXPECT_EQ(stored("a"), encode("<user>" + story(300)));
}

}  // namespace mm
