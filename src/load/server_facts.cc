#include "load/server_facts.h"

#include "base/error.h"
#include "base/json.h"
#include "base/json_value.h"

namespace mm {

namespace {

std::string first_model(const std::string& body) {
  const JsonDocument document = JsonDocument::parse(body, "/v1/models");
  const std::optional<JsonView> data = document.root().find("data");
  if (!data || !data->is_array() || data->elements("data").empty()) {
    return "";
  }
  const std::optional<JsonView> id = data->elements("data").front().find("id");
  return id && id->is_string() ? std::string(id->as_string("id")) : "";
}

}  // namespace

std::string find_model(HttpClient& client) {
  const HttpReply reply = client.fetch({"GET", "/v1/models", ""});
  if (reply.end != HttpEnd::kDone) {
    raise(ErrorKind::kIo, "{}", reply.message);
  }
  std::string name;
  try {
    name = reply.status == 200 ? first_model(reply.body) : "";
  } catch (const Error&) {
    // No JSON: it names none.
  }
  if (name.empty()) {
    raise(ErrorKind::kNotFound,
          "GET /v1/models: status {}, expected 200 and a model (--url, --api-key, or name one with "
          "--served-model-name)",
          reply.status);
  }
  return name;
}

std::optional<int64_t> count_tokens(HttpClient& client, const std::string& model,
                                    const std::string& text) {
  // The fields of both: each server leaves the other's alone.
  const Json body = {{"content", text},
                     {"add_special", false},
                     {"model", model},
                     {"prompt", text},
                     {"add_special_tokens", false}};
  const HttpReply reply = client.fetch({"POST", "/tokenize", body.dump()});
  if (reply.end != HttpEnd::kDone || reply.status != 200) {
    return std::nullopt;
  }
  try {
    const JsonDocument document = JsonDocument::parse(reply.body, "/tokenize");
    const std::optional<JsonView> tokens = document.root().find("tokens");
    return tokens ? std::optional(static_cast<int64_t>(tokens->elements("tokens").size()))
                  : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

}  // namespace mm
