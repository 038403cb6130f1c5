#include "serve/router.h"

#include <algorithm>

#include "base/error.h"
#include "base/mapped_file.h"
#include "serve/api_error.h"

namespace mm {

namespace {

bool fits(std::string_view pattern, std::string_view path) {
  if (!pattern.empty() && pattern.back() == '/' && pattern.size() > 1) {
    return path.size() > pattern.size() && path.substr(0, pattern.size()) == pattern;
  }
  return path == pattern;
}

/// Lets a web page of the origin read the answer.
HttpResponse allow(HttpResponse response, const std::string& origin) {
  response.headers.push_back({"Access-Control-Allow-Origin", origin});
  response.headers.push_back({"Vary", "Origin"});
  return response;
}

/// Adds to answers what allow() does.
class CorsExchange final : public Exchange {
 public:
  CorsExchange(std::shared_ptr<Exchange> inner, std::string origin)
      : inner_(std::move(inner)), origin_(std::move(origin)) {}
  void respond(HttpResponse response) override {
    inner_->respond(allow(std::move(response), origin_));
  }
  void begin(HttpResponse response) override { inner_->begin(allow(std::move(response), origin_)); }
  bool write(std::string_view piece) override { return inner_->write(piece); }
  void finish() override { inner_->finish(); }
  void hold() override { inner_->hold(); }
  void release() override { inner_->release(); }
  void on_gone(std::function<void()> callback) override { inner_->on_gone(std::move(callback)); }

 private:
  std::shared_ptr<Exchange> inner_;
  std::string origin_;
};

HttpResponse preflight_response() {
  HttpResponse response;
  response.status = 204;
  response.headers = {
      {"Access-Control-Allow-Methods", "GET, POST, DELETE, OPTIONS"},
      {"Access-Control-Allow-Headers", "Authorization, Content-Type, X-Api-Key, Anthropic-Version"},
      {"Access-Control-Max-Age", "600"}};
  return response;
}

}  // namespace

bool equal_in_constant_time(std::string_view given, std::string_view secret) {
  size_t difference = given.size() ^ secret.size();
  for (size_t i = 0; i < given.size(); ++i) {
    const char other = secret.empty() ? '\0' : secret[i % secret.size()];
    difference |= static_cast<unsigned char>(given[i]) ^ static_cast<unsigned char>(other);
  }
  return difference == 0;
}

std::vector<std::string> read_api_keys(const std::string& path) {
  const MappedFile file(path);
  std::vector<std::string> keys;
  std::string_view rest = file.text();
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!line.empty() && (line.back() == '\r' || line.back() == ' ')) {
      line.remove_suffix(1);
    }
    if (!line.empty() && line.front() != '#') {
      keys.emplace_back(line);
    }
  }
  if (keys.empty()) {
    bad_input("{}: no key, expected one a line", path);
  }
  return keys;
}

void Router::add(std::string method, std::string pattern, HttpHandler handler, bool is_open) {
  routes_.push_back({std::move(method), std::move(pattern), std::move(handler), is_open});
}

bool Router::is_known(std::string_view path) const {
  return std::any_of(routes_.begin(), routes_.end(),
                     [&](const Route& route) { return fits(route.pattern, path); });
}

const Router::Route& Router::find(const HttpRequest& request) const {
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  for (const Route& route : routes_) {
    if (route.method == method && fits(route.pattern, request.path)) {
      return route;
    }
  }
  if (is_known(request.path)) {
    throw ApiError(405, "invalid_request_error", request.path + " does not take " + request.method,
                   "", "method_not_allowed");
  }
  throw ApiError(404, "invalid_request_error", "no such path: " + request.path, "", "not_found");
}

void Router::check_key(const HttpRequest& request) const {
  if (access_.api_keys.empty()) {
    return;
  }
  std::string_view given = request.header("X-Api-Key");
  constexpr std::string_view kBearer = "Bearer ";
  const std::string_view authorization = request.header("Authorization");
  if (authorization.substr(0, kBearer.size()) == kBearer) {
    given = authorization.substr(kBearer.size());
  }
  bool found = false;
  for (const std::string& key : access_.api_keys) {
    found |= equal_in_constant_time(given, key);  // all of them: which one matched takes no time
  }
  if (!found) {
    throw ApiError(401, "authentication_error",
                   given.empty() ? "no API key, expected \"Authorization: Bearer KEY\""
                                 : "this API key is not known here",
                   "", "invalid_api_key");
  }
}

void Router::check_access(const HttpRequest& request) const {
  const bool is_open = std::any_of(routes_.begin(), routes_.end(), [&](const Route& route) {
    return route.is_open && fits(route.pattern, request.path);
  });
  if (!is_open) {
    check_key(request);
  }
}

bool Router::is_cross_origin(const HttpRequest& request) const {
  return !access_.cors_origin.empty() && !request.header("Origin").empty();
}

std::optional<HttpResponse> Router::admit(const HttpRequest& request) const {
  if (is_cross_origin(request) && request.method == "OPTIONS") {
    return std::nullopt;
  }
  try {
    check_access(request);
    return std::nullopt;
  } catch (const ApiError& error) {
    HttpResponse response = error_response(error, request.path);
    return is_cross_origin(request) ? allow(std::move(response), access_.cors_origin) : response;
  }
}

void Router::handle(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) const {
  std::shared_ptr<Exchange> answer = exchange;
  if (is_cross_origin(request)) {
    answer = std::make_shared<CorsExchange>(exchange, access_.cors_origin);
    if (request.method == "OPTIONS") {
      answer->respond(preflight_response());
      return;
    }
  }
  try {
    check_access(request);  // before find(): strangers do not learn which paths exist
    find(request).handler(request, answer);
  } catch (const std::exception& error) {
    answer->respond(error_response(to_api_error(error), request.path));
  }
}

}  // namespace mm
