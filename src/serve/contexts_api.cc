#include "serve/contexts_api.h"

#include <algorithm>

#include "engine/context_json.h"
#include "engine/context_notes.h"
#include "serve/answer_text.h"
#include "serve/api_error.h"
#include "serve/json_fields.h"

namespace mm {

namespace {

constexpr std::string_view kRoot = "/v1/contexts/";

using Answer = std::function<Json(const HttpRequest& request)>;

/// A context as clients see it: where its files and its model lie is the server's own matter.
Json public_json(const std::string& name, const ContextManifest& manifest) {
  Json json = {{"object", "context"}};
  json.update(context_json(name, manifest));
  json.erase("segments");
  json.erase("metadata");
  return json;
}

Json list_contexts(const ContextStore& store) {
  Json data = Json::array();
  for (const ContextEntry& entry : store.list()) {
    if (entry.problem.empty()) {
      data.push_back(public_json(entry.name, entry.manifest));
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
  return public_json(new_name, store.show(new_name));
}

/// POST /v1/contexts/NAME/ACTION.
Json act(const ContextStore& store, const HttpRequest& request) {
  const std::string rest = request.path.substr(kRoot.size());
  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string name = rest.substr(0, slash);
  const std::string action = rest.substr(slash);
  if (action == "/verify") {
    return context_report_json(name, store.verify(name));
  }
  if (action == "/fork") {
    return fork(store, name, request.body);
  }
  throw ApiError(404, "invalid_request_error",
                 "no such path: " + request.path + ", expected …/verify or …/fork", "",
                 "not_found");
}

/// Answers on a thread that may wait.
void add_route(Router& router, const std::shared_ptr<ServerState>& state, WorkThreads& threads,
               const char* method, const char* pattern, const Answer& answer) {
  router.add(method, pattern,
             [state, &threads, answer](const HttpRequest& request,
                                       const std::shared_ptr<Exchange>& exchange) {
               state->ready();
               state->metrics.count_request("/v1/contexts");
               threads.post([answer, request, exchange] {
                 try {
                   HttpResponse response;
                   response.body = dump_json(answer(request));
                   exchange->respond(std::move(response));
                 } catch (const std::exception& error) {
                   exchange->respond(error_response(to_api_error(error)));
                 }
               });
             });
}

std::string name_of(const HttpRequest& request) {
  return request.path.substr(kRoot.size());
}

}  // namespace

void add_context_routes(Router& router, const std::shared_ptr<ServerState>& state,
                        const ContextStore& store, WorkThreads& threads) {
  const std::string root(kRoot);
  add_route(router, state, threads, "GET", "/v1/contexts",
            [store](const HttpRequest&) { return list_contexts(store); });
  add_route(router, state, threads, "GET", root.c_str(), [store](const HttpRequest& request) {
    const std::string name = name_of(request);
    return public_json(name, store.show(name));
  });
  add_route(router, state, threads, "DELETE", root.c_str(), [store](const HttpRequest& request) {
    const std::string name = name_of(request);
    store.remove(name);
    return Json{{"object", "context.deleted"}, {"name", name}, {"deleted", true}};
  });
  add_route(router, state, threads, "POST", root.c_str(),
            [store](const HttpRequest& request) { return act(store, request); });
}

}  // namespace mm
