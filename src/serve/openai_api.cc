#include "serve/openai_api.h"

#include "serve/api_error.h"
#include "serve/context_chat.h"
#include "serve/openai_request.h"
#include "serve/responses_request.h"

namespace mm {

namespace {

using ExchangePtr = std::shared_ptr<Exchange>;
using StatePtr = std::shared_ptr<ServerState>;

void start(const StatePtr& state, const ExchangePtr& exchange, OpenAiRequest request) {
  const ServedModel& model = state->ready();
  start_generation(state, exchange, std::move(request.job),
                   make_openai_answer(exchange, *model.tokenizer, std::move(request.answer)));
}

void start(const StatePtr& state, const ExchangePtr& exchange, ResponsesRequest request) {
  const ServedModel& model = state->ready();
  start_generation(state, exchange, std::move(request.job),
                   make_responses_answer(exchange, *model.tokenizer, std::move(request.answer)));
}

/// Conversations, which may go on from a context.
struct Chats {
  StatePtr state;
  std::optional<ContextStore> contexts;
  WorkThreads* threads;

  /// One that goes on from a context begins with files, and so on a thread that may wait.
  template <typename Request>
  void answer(const ExchangePtr& exchange, Request request) const {
    if (request.context.empty()) {
      start(state, exchange, std::move(request));
      return;
    }
    if (!contexts) {
      throw field_error("context", "context: this server keeps none (--context-dir)");
    }
    threads->post(
        [state = state, store = *contexts, exchange, request = std::move(request)]() mutable {
          try {
            go_on_from_context(store, request.context, request.turns, state->ready(), request.job);
            start(state, exchange, std::move(request));
          } catch (const std::exception& error) {
            exchange->respond(error_response(to_api_error(error)));
          }
        });
  }
};

void answer_chat(const Chats& chats, const HttpRequest& http, const ExchangePtr& exchange) {
  const ServedModel& model = chats.state->ready();
  chats.state->metrics.count_request("/v1/chat/completions");
  const JsonDocument document = parse_body(http.body);
  chats.answer(exchange, read_chat_request(JsonFields(document.root()), model));
}

void answer_response(const Chats& chats, const HttpRequest& http, const ExchangePtr& exchange) {
  const ServedModel& model = chats.state->ready();
  chats.state->metrics.count_request("/v1/responses");
  const JsonDocument document = parse_body(http.body);
  chats.answer(exchange, read_responses_request(JsonFields(document.root()), model));
}

void answer_completion(const StatePtr& state, const HttpRequest& http,
                       const ExchangePtr& exchange) {
  const ServedModel& model = state->ready();
  state->metrics.count_request("/v1/completions");
  const JsonDocument document = parse_body(http.body);
  start(state, exchange, read_completion_request(JsonFields(document.root()), model));
}

}  // namespace

void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state,
                       const std::optional<ContextStore>& contexts, WorkThreads& threads) {
  const Chats chats{state, contexts, &threads};
  router.add("POST", "/v1/responses",
             [chats](const HttpRequest& request, const ExchangePtr& exchange) {
               answer_response(chats, request, exchange);
             });
  router.add("POST", "/v1/chat/completions",
             [chats](const HttpRequest& request, const ExchangePtr& exchange) {
               answer_chat(chats, request, exchange);
             });
  router.add("POST", "/v1/completions",
             [state](const HttpRequest& request, const ExchangePtr& exchange) {
               answer_completion(state, request, exchange);
             });
}

}  // namespace mm
