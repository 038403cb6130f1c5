#include "serve/api_error.h"

#include <gtest/gtest.h>

#include <stdexcept>

#include "base/error.h"

namespace mm {
namespace {

TEST(ApiError, KindsOfErrorsHaveTheirStatuses) {
  EXPECT_EQ(to_api_error(Error(ErrorKind::kBadInput, "x")).status, 400);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kUnsupported, "x")).status, 400);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kTooLarge, "x")).code, "context_length_exceeded");
  EXPECT_EQ(to_api_error(Error(ErrorKind::kNotFound, "x")).status, 404);
  EXPECT_EQ(to_api_error(Error(ErrorKind::kDevice, "x")).status, 503);
}

TEST(ApiError, InsidesAreNotTold) {
  for (const ApiError& error : {to_api_error(Error(ErrorKind::kInternal, "secret")),
                                to_api_error(Error(ErrorKind::kIo, "/secret/path")),
                                to_api_error(std::runtime_error("secret"))}) {
    EXPECT_EQ(error.status, 500);
    EXPECT_EQ(error.message.find("secret"), std::string::npos);
  }
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

TEST(ApiError, BytesThatAreNotUtf8DoNotMakeASecondError) {
  EXPECT_NO_THROW(error_response(field_error("a", "no such path: /\xff")));
}

}  // namespace
}  // namespace mm
