#include "serve/http.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace mm {
namespace {

TEST(Http, HeadersAreFoundInAnyCase) {
  HttpRequest request;
  request.headers = {{"X-Api-Key", "one"}, {"x-api-key", "two"}};
  EXPECT_EQ(request.header("x-API-key"), "one");
  EXPECT_EQ(request.header("X-Api"), "");
}

TEST(Http, EscapesInPathsAreDecoded) {
  EXPECT_EQ(percent_decode("/v1/models/a%2Fb%20c%c3%A4"), "/v1/models/a/b cä");
  EXPECT_EQ(percent_decode("/%41"), "/A");
  for (const char* wrong : {"/%", "/%4", "/%4g", "/%g4", "/%00"}) {
    EXPECT_THROW(percent_decode(wrong), Error) << wrong;
  }
}

TEST(Http, HeadsSayHowTheBodyEnds) {
  HttpResponse response;
  response.headers = {{"X-A", "b"}};
  EXPECT_EQ(format_head(response, 3, false, true),
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 3\r\nX-A: b\r\n"
            "Connection: keep-alive\r\n\r\n");
  response.status = 404;
  EXPECT_EQ(format_head(response, -1, true, false),
            "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
            "Transfer-Encoding: chunked\r\nX-A: b\r\nConnection: close\r\n\r\n");
  response.status = 204;
  EXPECT_EQ(format_head(response, 0, false, false),
            "HTTP/1.1 204 No Content\r\nX-A: b\r\nConnection: close\r\n\r\n");
  response.status = 304;
  EXPECT_EQ(format_head(response, 0, false, false),
            "HTTP/1.1 304 Not Modified\r\nX-A: b\r\nConnection: close\r\n\r\n");
}

TEST(Http, ChunksCarryTheirLengthInHexadecimal) {
  EXPECT_EQ(format_chunk(std::string(26, 'x')), "1a\r\n" + std::string(26, 'x') + "\r\n");
}

}  // namespace
}  // namespace mm
