#include "serve/anthropic_api.h"

#include "serve/anthropic_answer.h"
#include "serve/anthropic_request.h"

namespace mm {

namespace {

void answer_messages(const std::shared_ptr<ServerState>& state, const HttpRequest& http,
                     const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  state->metrics.count_request("/v1/messages");
  const JsonDocument document = parse_body(http.body);
  AnthropicRequest request = read_anthropic_request(JsonFields(document.root()), model);
  AnthropicAnswerOptions options;
  options.stream = request.stream;
  options.prompt_tokens = static_cast<int64_t>(request.job.requests.front().prompt.size());
  options.model = model.name;
  options.parser = request.parser;
  start_generation(state, exchange, std::move(request.job),
                   make_anthropic_answer(exchange, std::move(options)));
}

void answer_count(const std::shared_ptr<ServerState>& state, const HttpRequest& http,
                  const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  const JsonDocument document = parse_body(http.body);
  const std::vector<int32_t> prompt = read_anthropic_prompt(JsonFields(document.root()), model);
  HttpResponse response;
  response.body = Json({{"input_tokens", prompt.size()}}).dump();
  exchange->respond(std::move(response));
}

}  // namespace

void add_anthropic_routes(Router& router, const std::shared_ptr<ServerState>& state) {
  router.add("POST", "/v1/messages",
             [state](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
               answer_messages(state, request, exchange);
             });
  router.add("POST", "/v1/messages/count_tokens",
             [state](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
               answer_count(state, request, exchange);
             });
}

}  // namespace mm
