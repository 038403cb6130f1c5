#include "serve/openai_api.h"

#include "serve/openai_request.h"
#include "serve/responses_request.h"

namespace mm {

namespace {

using Reader = OpenAiRequest (*)(const JsonFields& body, const ServedModel& model);

void add_route(Router& router, const std::shared_ptr<ServerState>& state, const char* path,
               Reader read) {
  router.add(
      "POST", path,
      [state, path, read](const HttpRequest& http, const std::shared_ptr<Exchange>& exchange) {
        const ServedModel& model = state->ready();
        state->metrics.count_request(path);
        const JsonDocument document = parse_body(http.body);
        OpenAiRequest request = read(JsonFields(document.root()), model);
        start_generation(state, exchange, std::move(request.job),
                         make_openai_answer(exchange, *model.tokenizer, std::move(request.answer)));
      });
}

void answer_response(const std::shared_ptr<ServerState>& state, const HttpRequest& http,
                     const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  state->metrics.count_request("/v1/responses");
  const JsonDocument document = parse_body(http.body);
  ResponsesRequest request = read_responses_request(JsonFields(document.root()), model);
  start_generation(state, exchange, std::move(request.job),
                   make_responses_answer(exchange, *model.tokenizer, std::move(request.answer)));
}

}  // namespace

void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state) {
  router.add("POST", "/v1/responses",
             [state](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
               answer_response(state, request, exchange);
             });
  add_route(router, state, "/v1/chat/completions", read_chat_request);
  add_route(router, state, "/v1/completions", read_completion_request);
}

}  // namespace mm
