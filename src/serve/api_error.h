/// What a client is told when a request fails, in OpenAI's form.
#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "serve/http.h"

namespace mm {

/// A refused request: a status, and a sentence for the one who sent it.
struct ApiError : std::exception {
  ApiError(int status, std::string type, std::string message, std::string param = "",
           std::string code = "")
      : status(status),
        type(std::move(type)),
        message(std::move(message)),
        param(std::move(param)),
        code(std::move(code)) {}
  const char* what() const noexcept override { return message.c_str(); }

  int status;
  std::string type;  ///< "invalid_request_error", "server_error", …
  std::string message;
  std::string param;    ///< the field at fault; empty: none
  std::string code;     ///< for programs; empty: none
  int retry_after = 0;  ///< seconds; 0: not said
};

/// 400 that names a field.
ApiError field_error(const std::string& param, const std::string& message);

/// An ApiError as it is; a ContextConflict as 409, DiskFull as 507; an mm::Error by its kind;
/// anything else as a 500 that tells nothing.
ApiError to_api_error(const std::exception& error);

/// {"error": {message, type, param, code}}.
Json error_json(const ApiError& error);
HttpResponse error_response(const ApiError& error);
/// {"type": "error", "error": {type, message}}: Anthropic's form, by its kinds.
Json anthropic_error_json(const ApiError& error);
/// The same in the form that belongs to the path.
HttpResponse error_response(const ApiError& error, std::string_view path);

}  // namespace mm
