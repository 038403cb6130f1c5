#include "serve/contexts_api.h"

#include <gtest/gtest.h>

#include <fstream>

#include "base/json_value.h"
#include "tests/cache/context_fixture.h"
#include "tests/serve/fake_exchange.h"

namespace mm {

namespace {

/// The routes over a store with one context, "a".
struct ContextsApiTest : ContextStoreFixture {
  ContextsApiTest() {
    context_.metadata = {{"model", "/secret/folder"}};
    make("a", random_tokens(390, 1));
    state->model = &model;
    add_context_routes(router, state, store_, threads);
  }
  /// The parsed answer, of the expected status.
  Json ask(const std::string& method, const std::string& path, const std::string& body = "",
           int status = 200) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.body = body;
    const auto exchange = std::make_shared<FakeExchange>();
    router.handle(request, exchange);
    exchange->wait();
    EXPECT_EQ(exchange->head.status, status) << path << ": " << exchange->body;
    return Json::parse(exchange->body);
  }

  ServedModel model;
  std::shared_ptr<ServerState> state = std::make_shared<ServerState>();
  WorkThreads threads{1};
  Router router{AccessOptions{}};
};

}  // namespace

TEST_F(ContextsApiTest, ListsAndShows) {
  const Json shown = ask("GET", "/v1/contexts/a");
  EXPECT_EQ(shown["object"], "context");
  EXPECT_EQ(shown["name"], "a");
  EXPECT_EQ(shown["tokens"], 390);
  EXPECT_EQ(shown["complete"], true);
  EXPECT_EQ(shown.dump().find("secret"), std::string::npos);
  const Json list = ask("GET", "/v1/contexts");
  EXPECT_EQ(list["data"], Json::array({shown}));
  ask("GET", "/v1/contexts/b", "", 404);
  ask("GET", "/v1/contexts/../a", "", 400);
}

TEST_F(ContextsApiTest, ListsDamagedOnesWithTheReason) {
  std::ofstream(store_.root() + "/a/manifest.json") << "{";
  const Json list = ask("GET", "/v1/contexts");
  EXPECT_EQ(list["data"][0]["name"], "a");
  EXPECT_NE(list["data"][0]["problem"], "");
}

TEST_F(ContextsApiTest, ForksVerifiesAndDeletes) {
  EXPECT_EQ(ask("POST", "/v1/contexts/a/fork", R"({"name": "b", "at": 100})")["tokens"], 100);
  EXPECT_EQ(ask("POST", "/v1/contexts/a/fork", R"({"name": "c"})")["tokens"], 390);
  EXPECT_EQ(ask("POST", "/v1/contexts/a/fork", R"({})", 400)["error"]["param"], "name");
  EXPECT_EQ(ask("POST", "/v1/contexts/a/fork", R"({"name": "d", "at": -1})", 400)["error"]["param"],
            "at");
  ask("POST", "/v1/contexts/a/fork", R"({"name": "b"})", 409);
  ask("POST", "/v1/contexts/a/fork", R"({"name": "d", "at": 391})", 400);
  ask("POST", "/v1/contexts/none/fork", R"({"name": "d"})", 404);
  const Json report = ask("POST", "/v1/contexts/a/verify");
  EXPECT_EQ(report["ok"], true);
  EXPECT_EQ(report["problems"], Json::array());
  ask("POST", "/v1/contexts/a", "", 404);
  EXPECT_EQ(ask("DELETE", "/v1/contexts/a")["deleted"], true);
  ask("DELETE", "/v1/contexts/a", "", 404);
  EXPECT_EQ(ask("GET", "/v1/contexts")["data"].size(), 2U);
}

}  // namespace mm
