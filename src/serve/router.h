/// From method and path to a handler, behind the checks that all requests pass.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace mm {

/// Who may call, and from which web pages.
struct AccessOptions {
  std::vector<std::string> api_keys;  ///< none: everybody
  std::string cors_origin;            ///< empty: no web page of another origin; "*": any
};

/// Whether two texts are equal, in a time that depends on the length of `given` alone.
bool equal_in_constant_time(std::string_view given, std::string_view secret);

/// Keys of a file: one a line, blank lines and lines beginning with # left out. Throws kNotFound,
/// kBadInput when it holds none.
std::vector<std::string> read_api_keys(const std::string& path);

class Router {
 public:
  explicit Router(AccessOptions access) : access_(std::move(access)) {}

  /// A pattern is a path; one that ends with '/' takes all paths that go on from there.
  /// `is_open`: no key is asked for.
  void add(std::string method, std::string pattern, HttpHandler handler, bool is_open = false);

  /// A 401 for a request that handle() would give one, from its head alone.
  std::optional<HttpResponse> admit(const HttpRequest& request) const;
  /// Answers 401, 404, 405 and cross-origin preflights itself; what a handler throws becomes an
  /// error response.
  void handle(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) const;

 private:
  struct Route {
    std::string method, pattern;
    HttpHandler handler;
    bool is_open;
  };
  const Route& find(const HttpRequest& request) const;
  bool is_known(std::string_view path) const;
  void check_key(const HttpRequest& request) const;
  void check_access(const HttpRequest& request) const;
  bool is_cross_origin(const HttpRequest& request) const;

  AccessOptions access_;
  std::vector<Route> routes_;
};

}  // namespace mm
