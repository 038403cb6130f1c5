#include "serve/tokens_api.h"

#include "serve/api_error.h"
#include "serve/chat_answer.h"
#include "serve/chat_fields.h"
#include "serve/json_fields.h"
#include "text/utf8.h"

namespace mm {

namespace {

using Answer = Json (*)(const JsonFields& body, const ServedModel& model);

/// A token's text, or its bytes where those are no whole characters.
Json piece_json(std::string_view piece) {
  if (utf8::find_invalid(piece) == std::string_view::npos) {
    return std::string(piece);
  }
  Json bytes = Json::array();
  for (const char c : piece) {
    bytes.push_back(static_cast<unsigned char>(c));
  }
  return bytes;
}

Json tokenize(const JsonFields& body, const ServedModel& model) {
  body.required("content");
  EncodeOptions options;
  options.parse_special = body.boolean("parse_special").value_or(true);
  const std::vector<int32_t> ids = model.tokenizer->encode(*body.text("content"), options);
  if (!body.boolean("with_pieces").value_or(false)) {
    return {{"tokens", ids}};
  }
  Json tokens = Json::array();
  for (const int32_t id : ids) {
    tokens.push_back({{"id", id}, {"piece", piece_json(model.tokenizer->piece(id))}});
  }
  return {{"tokens", std::move(tokens)}};
}

Json detokenize(const JsonFields& body, const ServedModel& model) {
  body.required("tokens");
  const std::vector<int32_t> ids =
      read_ids(*body.list("tokens"), "tokens", model.tokenizer->vocab_size());
  return {{"content", model.tokenizer->decode(ids, {.skip_special = false})}};
}

Json apply_template(const JsonFields& body, const ServedModel& model) {
  return {{"prompt", render_chat(read_chat_fields(body, model.tool_format), model)}};
}

void add_route(Router& router, const std::shared_ptr<ServerState>& state, const char* path,
               Answer answer) {
  router.add(
      "POST", path,
      [state, answer](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
        const JsonDocument document = parse_body(request.body);
        HttpResponse response;
        response.body = answer(JsonFields(document.root()), state->ready()).dump();
        exchange->respond(std::move(response));
      });
}

}  // namespace

void add_tokens_routes(Router& router, const std::shared_ptr<ServerState>& state) {
  add_route(router, state, "/tokenize", tokenize);
  add_route(router, state, "/detokenize", detokenize);
  add_route(router, state, "/apply-template", apply_template);
}

}  // namespace mm
