#include "serve/router.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

#include "base/error.h"
#include "serve/api_error.h"
#include "tests/serve/fake_exchange.h"

namespace mm {
namespace {

/// A router with an open path, a closed one, a prefix and one that throws.
Router make_router(AccessOptions access = {}) {
  Router router(std::move(access));
  const auto say = [](const std::string& text) {
    return [text](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
      HttpResponse response;
      response.body = text + request.path;
      exchange->respond(response);
    };
  };
  router.add("GET", "/health", say("open "), true);
  router.add("POST", "/work", say("work "));
  router.add("GET", "/v1/models", say("list "));
  router.add("GET", "/v1/models/", say("one "));
  router.add("POST", "/fail", [](const HttpRequest&, const std::shared_ptr<Exchange>&) {
    throw field_error("x", "x is wrong");
  });
  return router;
}

std::shared_ptr<FakeExchange> ask(const Router& router, const std::string& method,
                                  const std::string& path, std::vector<HttpHeader> headers = {}) {
  HttpRequest request;
  request.method = method;
  request.path = path;
  request.headers = std::move(headers);
  auto exchange = std::make_shared<FakeExchange>();
  router.handle(request, exchange);
  return exchange;
}

TEST(Router, FindsPathsAndWhatGoesOnFromThem) {
  const Router router = make_router();
  EXPECT_EQ(ask(router, "GET", "/v1/models")->body, "list /v1/models");
  EXPECT_EQ(ask(router, "GET", "/v1/models/a/b")->body, "one /v1/models/a/b");
  EXPECT_EQ(ask(router, "HEAD", "/health")->head.status, 200);
  EXPECT_EQ(ask(router, "GET", "/v1/models/")->head.status, 404);
  EXPECT_EQ(ask(router, "GET", "/nothing")->head.status, 404);
  EXPECT_EQ(ask(router, "GET", "/work")->head.status, 405);
}

TEST(Router, RefusesWrongKeysFromTheHeadAlone) {
  const Router router = make_router({.api_keys = {"k"}, .cors_origin = "https://a"});
  const auto status = [&](const std::string& method, const std::string& path,
                          std::vector<HttpHeader> headers) {
    HttpRequest request;
    request.method = method;
    request.path = path;
    request.headers = std::move(headers);
    const std::optional<HttpResponse> refusal = router.admit(request);
    return refusal ? refusal->status : 0;
  };
  EXPECT_EQ(status("POST", "/work", {{"X-Api-Key", "k"}}), 0);
  EXPECT_EQ(status("POST", "/work", {{"X-Api-Key", "l"}}), 401);
  EXPECT_EQ(status("POST", "/nothing", {}), 401);
  EXPECT_EQ(status("GET", "/health", {}), 0);
  EXPECT_EQ(status("OPTIONS", "/work", {{"Origin", "https://a"}}), 0);
  HttpRequest page;
  page.method = "POST";
  page.path = "/work";
  page.headers = {{"Origin", "https://a"}};
  const std::optional<HttpResponse> refusal = router.admit(page);
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->headers.at(0).name, "Access-Control-Allow-Origin");
}

TEST(Router, WhatHandlersThrowIsTheAnswer) {
  const auto exchange = ask(make_router(), "POST", "/fail");
  EXPECT_EQ(exchange->head.status, 400);
  EXPECT_NE(exchange->body.find("x is wrong"), std::string::npos);
}

TEST(Router, KeysAreAskedForExceptOnOpenPaths) {
  const Router router = make_router({.api_keys = {"first", "second"}, .cors_origin = {}});
  EXPECT_EQ(ask(router, "GET", "/health")->head.status, 200);
  EXPECT_EQ(ask(router, "POST", "/work")->head.status, 401);
  EXPECT_EQ(ask(router, "GET", "/nothing")->head.status, 401);
  const auto with = [&](const std::string& name, const std::string& value) {
    return ask(router, "POST", "/work", {{name, value}})->head.status;
  };
  EXPECT_EQ(with("Authorization", "Bearer first"), 200);
  EXPECT_EQ(with("authorization", "Bearer second"), 200);
  EXPECT_EQ(with("X-Api-Key", "second"), 200);
  for (const char* wrong : {"Bearer firs", "Bearer firstfirst", "Bearer ", "first", ""}) {
    EXPECT_EQ(with("Authorization", wrong), 401) << wrong;
  }
}

TEST(Router, ComparesWholeKeys) {
  EXPECT_TRUE(equal_in_constant_time("abc", "abc"));
  EXPECT_TRUE(equal_in_constant_time("", ""));
  EXPECT_FALSE(equal_in_constant_time("abcabc", "abc"));
  EXPECT_FALSE(equal_in_constant_time("ab", "abc"));
  EXPECT_FALSE(equal_in_constant_time("abd", "abc"));
  EXPECT_FALSE(equal_in_constant_time("", "abc"));
  EXPECT_FALSE(equal_in_constant_time("a", ""));
}

TEST(Router, OtherOriginsAreAllowedOnlyWhenToldSo) {
  const std::vector<HttpHeader> page = {{"Origin", "https://a.example"}};
  const auto allowed = [](const FakeExchange& exchange) {
    for (const HttpHeader& header : exchange.head.headers) {
      if (header.name == "Access-Control-Allow-Origin") {
        return header.value;
      }
    }
    return std::string();
  };
  EXPECT_EQ(allowed(*ask(make_router(), "GET", "/health", page)), "");
  EXPECT_EQ(ask(make_router(), "OPTIONS", "/work", page)->head.status, 405);
  const Router open = make_router({.api_keys = {"k"}, .cors_origin = "https://a.example"});
  EXPECT_EQ(allowed(*ask(open, "GET", "/health", page)), "https://a.example");
  EXPECT_EQ(ask(open, "OPTIONS", "/work", page)->head.status, 204);
  EXPECT_EQ(ask(open, "POST", "/work", page)->head.status, 401);
}

TEST(Router, KeyFilesHaveOneALine) {
  const std::string path = testing::TempDir() + "keys.txt";
  std::ofstream(path) << "# ours\nfirst\r\n\n  \nsecond";
  EXPECT_EQ(read_api_keys(path), (std::vector<std::string>{"first", "second"}));
  std::ofstream(path) << "# none\n";
  EXPECT_THROW(read_api_keys(path), Error);
  std::remove(path.c_str());
  EXPECT_THROW(read_api_keys(path), Error);
}

}  // namespace
}  // namespace mm
