#include "serve/contexts_api.h"

#include <algorithm>

#include "engine/context_json.h"
#include "engine/context_notes.h"
#include "serve/answer_text.h"
#include "serve/api_error.h"
#include "serve/context_object.h"
#include "serve/context_write.h"
#include "serve/json_fields.h"

namespace mm {

namespace {

constexpr std::string_view kRoot = "/v1/contexts/";

using Answer = std::function<Json(const HttpRequest& request)>;

Json list_contexts(const ContextStore& store) {
  Json data = Json::array();
  for (const ContextEntry& entry : store.list()) {
    if (entry.problem.empty()) {
      data.push_back(context_object(entry.name, entry.manifest));
    } else {
      data.push_back({{"object", "context"}, {"name", entry.name}, {"problem", entry.problem}});
    }
  }
  return {{"object", "list"}, {"data", std::move(data)}};
}

Json fork(const ContextStore& store, const std::string& name, const std::string& text) {
  constexpr int64_t kMost = int64_t{1} << 40;
  const JsonDocument document = parse_body(text);
  const JsonFields body(document.root());
  body.required("name");
  const std::string new_name = *body.text("name");
  fork_context(store, name, new_name, body.integer("at", 0, kMost));
  return context_object(new_name, store.show(new_name));
}

void respond_json(Exchange& exchange, const Json& json) {
  HttpResponse response;
  response.body = dump_json(json);
  exchange.respond(std::move(response));
}

/// POST /v1/contexts/NAME/ACTION.
void act(const std::shared_ptr<ServerState>& state, const ContextStore& store,
         const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const std::string rest = request.path.substr(kRoot.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string name = rest.substr(0, slash);
  const std::string action = rest.substr(slash);
  if (action == "/append") {
    append_context(state, store, name, request, exchange);
  } else if (action == "/verify") {
    respond_json(*exchange, context_report_json(name, store.verify(name)));
  } else if (action == "/fork") {
    respond_json(*exchange, fork(store, name, request.body));
  } else {
    throw ApiError(404, "invalid_request_error",
                   "no such path: " + request.path + ", expected …/append, …/verify or …/fork", "",
                   "not_found");
  }
}

/// Answers on a thread that may wait.
void add_route(Router& router, const std::shared_ptr<ServerState>& state, WorkThreads& threads,
               const char* method, const std::string& pattern, const HttpHandler& handler) {
  router.add(method, pattern,
             [state, &threads, handler](const HttpRequest& request,
                                        const std::shared_ptr<Exchange>& exchange) {
               state->ready();
               state->metrics.count_request("/v1/contexts");
               threads.post([handler, request, exchange] {
                 try {
                   handler(request, exchange);
                 } catch (const std::exception& error) {
                   exchange->respond(error_response(to_api_error(error)));
                 }
               });
             });
}

/// The same for what is answered at once.
HttpHandler at_once(const Answer& answer) {
  return [answer](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
    respond_json(*exchange, answer(request));
  };
}

std::string name_of(const HttpRequest& request) {
  return request.path.substr(kRoot.size());
}

}  // namespace

void add_context_routes(Router& router, const std::shared_ptr<ServerState>& state,
                        const ContextStore& store, WorkThreads& threads) {
  const auto add = [&](const char* method, const std::string& pattern, const HttpHandler& handler) {
    add_route(router, state, threads, method, pattern, handler);
  };
  const std::string all = "/v1/contexts";
  const std::string one(kRoot);
  add("GET", all, at_once([store](const HttpRequest&) { return list_contexts(store); }));
  add("GET", one, at_once([store](const HttpRequest& request) {
        const std::string name = name_of(request);
        return context_object(name, store.show(name));
      }));
  add("DELETE", one, at_once([store](const HttpRequest& request) {
        const std::string name = name_of(request);
        store.remove(name);
        return Json{{"object", "context.deleted"}, {"name", name}, {"deleted", true}};
      }));
  add("POST", all,
      [state, store](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
        create_context(state, store, request, exchange);
      });
  add("POST", one,
      [state, store](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
        act(state, store, request, exchange);
      });
}

}  // namespace mm
