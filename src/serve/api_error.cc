#include "serve/api_error.h"

#include "base/error.h"
#include "base/log.h"
#include "base/output_file.h"
#include "engine/durable_context.h"

namespace mm {

namespace {

Json or_null(const std::string& text) {
  return text.empty() ? Json() : Json(text);
}

ApiError from_error(const Error& error) {
  switch (error.kind()) {
    case ErrorKind::kBadInput:
    case ErrorKind::kUnsupported:
      return {400, "invalid_request_error", error.what()};
    case ErrorKind::kTooLarge:
      return {400, "invalid_request_error", error.what(), "", "context_length_exceeded"};
    case ErrorKind::kNotFound:
      return {404, "invalid_request_error", error.what(), "", "not_found"};
    case ErrorKind::kOutOfMemory:
    case ErrorKind::kDevice:
      return {503, "server_error", error.what(), "", "unavailable"};
    case ErrorKind::kIo:
    case ErrorKind::kInternal:
      break;
  }
  log_line(LogLevel::kError, error.what());
  return {500, "server_error", "the server failed; its log says why", "", "internal_error"};
}

const char* anthropic_type(int status) {
  switch (status) {
    case 401:
      return "authentication_error";
    case 403:
      return "permission_error";
    case 404:
      return "not_found_error";
    case 413:
      return "request_too_large";
    case 429:
      return "rate_limit_error";
    case 503:
      return "overloaded_error";
    case 504:
      return "timeout_error";
    default:
      return status < 500 ? "invalid_request_error" : "api_error";
  }
}

bool is_anthropic(std::string_view path) {
  constexpr std::string_view kMessages = "/v1/messages";
  return path.substr(0, kMessages.size()) == kMessages;
}

}  // namespace

ApiError field_error(const std::string& param, const std::string& message) {
  return {400, "invalid_request_error", message, param, "invalid_value"};
}

ApiError to_api_error(const std::exception& error) {
  if (const auto* api_error = dynamic_cast<const ApiError*>(&error)) {
    return *api_error;
  }
  if (dynamic_cast<const ContextConflict*>(&error) != nullptr) {
    return {409, "invalid_request_error", error.what(), "", "conflict"};
  }
  if (dynamic_cast<const DiskFull*>(&error) != nullptr) {
    log_line(LogLevel::kError, error.what());  // with paths, which are the server's own matter
    return {507, "server_error",
            "the server's disk is full; what was written before stays, and with more room the same "
            "request goes on from there",
            "", "disk_full"};
  }
  if (const auto* ours = dynamic_cast<const Error*>(&error)) {
    return from_error(*ours);
  }
  log_line(LogLevel::kError, error.what());
  return {500, "server_error", "the server failed; its log says why", "", "internal_error"};
}

Json error_json(const ApiError& error) {
  return {{"error",
           {{"message", error.message},
            {"type", error.type},
            {"param", or_null(error.param)},
            {"code", or_null(error.code)}}}};
}

Json anthropic_error_json(const ApiError& error) {
  return {{"type", "error"},
          {"error", {{"type", anthropic_type(error.status)}, {"message", error.message}}},
          {"request_id", nullptr}};  // X-Request-Id has it
}

HttpResponse error_response(const ApiError& error) {
  return error_response(error, "");
}

HttpResponse error_response(const ApiError& error, std::string_view path) {
  HttpResponse response;
  response.status = error.status;
  const Json json = is_anthropic(path) ? anthropic_error_json(error) : error_json(error);
  // Messages quote what was sent: bytes that are not UTF-8 must not make a second error.
  response.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  if (error.retry_after > 0) {
    response.headers.push_back({"Retry-After", std::to_string(error.retry_after)});
  }
  return response;
}

}  // namespace mm
