#include "serve/web_page.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/serve/fake_exchange.h"

namespace mm {
namespace {

std::shared_ptr<FakeExchange> get(const std::string& path, std::vector<HttpHeader> headers = {},
                                  AccessOptions access = {}) {
  Router router(std::move(access));
  add_web_routes(router);
  HttpRequest request;
  request.method = "GET";
  request.path = path;
  request.headers = std::move(headers);
  auto exchange = std::make_shared<FakeExchange>();
  router.handle(request, exchange);
  return exchange;
}

std::string header(const FakeExchange& exchange, const std::string& name) {
  for (const HttpHeader& each : exchange.head.headers) {
    if (each.name == name) {
      return each.value;
    }
  }
  return "";
}

TEST(WebPage, IsServedCompressedUnderAStrictPolicy) {
  const auto page = get("/");
  EXPECT_EQ(page->head.status, 200);
  EXPECT_EQ(page->head.content_type, "text/html; charset=utf-8");
  EXPECT_EQ(header(*page, "Content-Encoding"), "gzip");
  EXPECT_EQ(page->body.substr(0, 3), "\x1f\x8b\x08");
  const std::string policy = header(*page, "Content-Security-Policy");
  EXPECT_NE(policy.find("default-src 'none'"), std::string::npos);
  EXPECT_NE(policy.find("script-src 'self';"), std::string::npos);
  EXPECT_EQ(policy.find("unsafe"), std::string::npos);
  EXPECT_EQ(policy.find("http"), std::string::npos);
}

TEST(WebPage, HasEveryFileItIsMadeOf) {
  EXPECT_EQ(get("/assets/index.js")->head.content_type, "text/javascript; charset=utf-8");
  EXPECT_EQ(get("/assets/style.css")->head.content_type, "text/css; charset=utf-8");
  EXPECT_EQ(get("/icon.svg")->head.content_type, "image/svg+xml");
  EXPECT_EQ(get("/licenses.txt")->head.content_type, "text/plain; charset=utf-8");
  EXPECT_EQ(get("/index.html")->head.status, 404);
  EXPECT_EQ(get("/assets/nothing.js")->head.status, 404);
}

TEST(WebPage, AsksForNoKey) {
  EXPECT_EQ(get("/", {}, {.api_keys = {"secret"}, .cors_origin = ""})->head.status, 200);
}

TEST(WebPage, FilesDoNotHoldTheTimeOfTheBuild) {
  for (const WebFile& file : web_files()) {
    EXPECT_EQ(file.gzip.substr(4, 4), std::string_view("\0\0\0\0", 4)) << file.path;
  }
}

TEST(WebPage, IsNotSentAgainToWhoHasIt) {
  const std::string tag = header(*get("/"), "ETag");
  const auto again = get("/", {{"If-None-Match", "\"other\", W/" + tag}});
  EXPECT_EQ(again->head.status, 304);
  EXPECT_EQ(again->body, "");
  EXPECT_EQ(header(*again, "ETag"), tag);
  EXPECT_EQ(get("/", {{"If-None-Match", "\"other\""}})->head.status, 200);
  EXPECT_NE(header(*get("/assets/index.js"), "ETag"), tag);
}

TEST(WebPage, TellsWhomItCannotAnswer) {
  EXPECT_EQ(get("/", {{"Accept-Encoding", "br"}})->head.status, 406);
  EXPECT_EQ(get("/", {{"Accept-Encoding", "br, gzip"}})->head.status, 200);
}

TEST(NamesEtag, FindsATagInAList) {
  EXPECT_TRUE(names_etag("\"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("\"b\" , \"a\"", "\"a\""));
  EXPECT_TRUE(names_etag("*", "\"a\""));
  EXPECT_FALSE(names_etag("", "\"a\""));
  EXPECT_FALSE(names_etag("\"ab\"", "\"a\""));
}

TEST(AcceptsGzip, ReadsCodingsAndTheirQuality) {
  EXPECT_TRUE(accepts_gzip(""));
  EXPECT_TRUE(accepts_gzip("deflate, GZIP;q=0.5"));
  EXPECT_TRUE(accepts_gzip("br, *"));
  EXPECT_FALSE(accepts_gzip("gzip;q=0"));
  EXPECT_FALSE(accepts_gzip("gzip; q=0.000, *"));
  EXPECT_FALSE(accepts_gzip("*;q=0"));
  EXPECT_FALSE(accepts_gzip("identity"));
}

}  // namespace
}  // namespace mm
