#include "serve/info_api.h"

#include "base/version.h"
#include "serve/api_error.h"

namespace mm {

namespace {

void respond_json(const std::shared_ptr<Exchange>& exchange, const Json& json) {
  HttpResponse response;
  response.body = json.dump();
  exchange->respond(std::move(response));
}

Json model_json(const ServedModel& model) {
  return {{"id", model.name},
          {"object", "model"},
          {"created", model.created},
          {"owned_by", "minimax"},
          {"context_length", model.context_size}};
}

Json props_json(const ServedModel& model) {
  const SamplingParams& sampling = model.sampling;
  return {{"model", model.name},
          {"build", version_string() + "-" + commit()},
          {"backend", model.backend},
          {"context_length", model.context_size},
          {"vocab_size", model.vocab_size},
          {"total_slots", model.max_sequences},
          {"chat_template", model.prompts != nullptr},
          {"default_generation_settings",
           {{"temperature", sampling.temperature},
            {"top_k", sampling.top_k},
            {"top_p", sampling.top_p},
            {"min_p", sampling.min_p},
            {"repetition_penalty", sampling.repetition_penalty}}}};
}

/// The engine's numbers are read between two of its steps, so the answer is given there.
void answer_metrics(const std::shared_ptr<ServerState>& state,
                    const std::shared_ptr<Exchange>& exchange) {
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  const ServedModel* model = state->model;
  // Counted here: the engine may get to this when the server is no longer there.
  const ServerLoad load{state->connections(), state->active};
  if (model == nullptr) {
    response.body = state->metrics.render({}, load);
    exchange->respond(std::move(response));
    return;
  }
  model->loop->post([state, exchange, response, load](const Engine& engine) mutable {
    response.body = state->metrics.render(engine.stats(), load);
    exchange->respond(std::move(response));
  });
}

}  // namespace

const ServedModel& ServerState::ready() const {
  const ServedModel* loaded = model;
  if (draining || loaded == nullptr) {
    ApiError error(
        503, "server_error",
        draining ? "the server is shutting down" : "the model is loading; try again soon", "",
        draining ? "shutting_down" : "loading");
    error.retry_after = 1;
    throw error;
  }
  return *loaded;
}

void add_info_routes(Router& router, const std::shared_ptr<ServerState>& state) {
  using ExchangePtr = std::shared_ptr<Exchange>;
  router.add(
      "GET", "/health",
      [state](const HttpRequest&, const ExchangePtr& exchange) {
        state->ready();
        respond_json(exchange, {{"status", "ok"}});
      },
      true);
  router.add("GET", "/version", [](const HttpRequest&, const ExchangePtr& exchange) {
    respond_json(exchange, {{"version", version_string()}, {"commit", commit()}});
  });
  router.add("GET", "/metrics", [state](const HttpRequest&, const ExchangePtr& exchange) {
    answer_metrics(state, exchange);
  });
  router.add("GET", "/props", [state](const HttpRequest&, const ExchangePtr& exchange) {
    respond_json(exchange, props_json(state->ready()));
  });
  router.add("GET", "/v1/models", [state](const HttpRequest&, const ExchangePtr& exchange) {
    respond_json(exchange,
                 {{"object", "list"}, {"data", Json::array({model_json(state->ready())})}});
  });
  router.add("GET", "/v1/models/",
             [state](const HttpRequest& request, const ExchangePtr& exchange) {
               const ServedModel& model = state->ready();
               const std::string id = request.path.substr(std::string("/v1/models/").size());
               if (id != model.name) {
                 throw ApiError(404, "invalid_request_error",
                                "no model \"" + id + "\"; this server has \"" + model.name + "\"",
                                "model", "model_not_found");
               }
               respond_json(exchange, model_json(model));
             });
}

}  // namespace mm
