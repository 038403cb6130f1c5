#include "serve/api_error.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"
#include "base/output_file.h"
#include "engine/durable_context.h"

namespace mm {
namespace {

TEST(ApiError, KindsOfErrorsHaveTheirStatuses) {
  EXPECT_EQ(to_api_error(Error(ErrorKind::kBadInput, "x")).status, 400);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kUnsupported, "x")).status, 400);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kTooLarge, "x")).code, "context_length_exceeded");
  EXPECT_EQ(to_api_error(Error(ErrorKind::kNotFound, "x")).status, 404);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kDevice, "x")).status, 503);
  EXPECT_EQ(to_api_error(ContextConflict("x")).status, 409);
  EXPECT_EQ(to_api_error(DiskFull("x")).status, 507);
}

TEST(ApiError, InsidesAreNotTold) {
  for (const ApiError& error : {to_api_error(Error(ErrorKind::kInternal, "secret")),
                                to_api_error(Error(ErrorKind::kIo, "/secret/path")),
                                to_api_error(std::runtime_error("secret"))}) {
    EXPECT_EQ(error.status, 500);
    EXPECT_EQ(error.message.find("secret"), std::string::npos);
  }
  EXPECT_EQ(to_api_error(DiskFull("/secret")).message.find("secret"), std::string::npos);
}

TEST(ApiError, HasOpenAIsForm) {
  ApiError error = field_error("top_p", "top_p is 2");
  error.retry_after = 3;
  const HttpResponse response = error_response(error);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body,
            R"({"error":{"message":"top_p is 2","type":"invalid_request_error","param":"top_p",)"
            R"("code":"invalid_value"}})");
  ASSERT_EQ(response.headers.size(), 1u);
  EXPECT_EQ(response.headers[0].name, "Retry-After");
  EXPECT_EQ(response.headers[0].value, "3");
}

TEST(ApiError, HasAnthropicsFormOnItsPaths) {
  const ApiError error = field_error("top_p", "top_p is 2");
  const char* const expected =
      R"({"type":"error","error":{"type":"invalid_request_error","message":"top_p is 2"},)"
      R"("request_id":null})";
  EXPECT_EQ(error_response(error, "/v1/messages").body, expected);
  EXPECT_EQ(error_response(error, "/v1/messages/count_tokens").body, expected);
  EXPECT_EQ(error_response(error, "/v1/models").body, error_response(error).body);
  EXPECT_EQ(anthropic_error_json({401, "x", "m"})["error"]["type"], "authentication_error");
  EXPECT_EQ(anthropic_error_json({503, "x", "m"})["error"]["type"], "overloaded_error");
  EXPECT_EQ(anthropic_error_json({504, "x", "m"})["error"]["type"], "timeout_error");
  EXPECT_EQ(anthropic_error_json({500, "x", "m"})["error"]["type"], "api_error");
}

TEST(ApiError, BytesThatAreNotUtf8DoNotMakeASecondError) {
  EXPECT_NO_THROW(error_response(field_error("a", "no such path: /\xff")));
}

}  // namespace
}  // namespace mm
