#include "serve/http_url.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

TEST(HttpUrl, NamesHostPortAndBase) {
  const HttpUrl url = parse_http_url("http://example.org:8000/a/b/");
  EXPECT_FALSE(url.tls);
  EXPECT_EQ(url.host, "example.org");
  EXPECT_EQ(url.port, 8000);
  EXPECT_EQ(url.base, "/a/b");
  EXPECT_EQ(url.authority(), "example.org:8000");
}

TEST(HttpUrl, PortsHaveDefaults) {
  EXPECT_EQ(parse_http_url("http://h").port, 80);
  EXPECT_EQ(parse_http_url("https://h/").port, 443);
  EXPECT_EQ(parse_http_url("https://h/").authority(), "h");
  EXPECT_EQ(parse_http_url("https://h:80").authority(), "h:80");
}

TEST(HttpUrl, AddressesOfIpv6StandInBrackets) {
  const HttpUrl url = parse_http_url("http://[::1]:8080");
  EXPECT_EQ(url.host, "::1");
  EXPECT_EQ(url.port, 8080);
  EXPECT_EQ(url.authority(), "[::1]:8080");
  EXPECT_EQ(parse_http_url("http://[::1]").port, 80);
}

TEST(HttpUrl, TheVersionOfTheApiIsLeftOut) {
  EXPECT_EQ(parse_http_url("http://h/v1").base, "");
  EXPECT_EQ(parse_http_url("http://h/proxy/v1/").base, "/proxy");
  EXPECT_EQ(parse_http_url("http://h/v10").base, "/v10");
}

TEST(HttpUrl, UnixSocketsAreAPath) {
  const HttpUrl url = parse_http_url("unix:/run/a b/socket");
  EXPECT_EQ(url.unix_socket, "/run/a b/socket");
  EXPECT_EQ(url.host, "");
  EXPECT_EQ(url.authority(), "localhost");
}

TEST(HttpUrl, EverythingElseIsRefused) {
  for (const char* url :
       {"", "h:80", "ftp://h", "http://", "http://:80", "http://h:", "http://h:0", "http://h:65536",
        "http://h:8x", "http://[::1", "http://[::1]x", "http://u@h", "http://h/?q", "http://h/#f",
        "http://h/a b", "http://h\r\nX: y", "unix:"}) {
    try {
      parse_http_url(url);
      FAIL() << url;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kBadInput) << url;
    }
  }
}

}  // namespace
}  // namespace mm
