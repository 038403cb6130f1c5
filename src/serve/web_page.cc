#include "serve/web_page.h"

#include <algorithm>
#include <cctype>

#include "serve/api_error.h"

namespace mm {

namespace {

/// The page runs its own scripts and styles and talks to this server, and nothing else: what an
/// answer might slip in neither runs nor calls.
constexpr const char* kContentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) {
    text.remove_prefix(1);
  }
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) {
    text.remove_suffix(1);
  }
  return text;
}

/// Takes the part up to the next comma off the front of a list.
std::string_view take_item(std::string_view& list) {
  const size_t end = std::min(list.find(','), list.size());
  const std::string_view item = trimmed(list.substr(0, end));
  list.remove_prefix(std::min(end + 1, list.size()));
  return item;
}

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return result;
}

/// Whether the parameters of a coding (";q=0.5") refuse it: a quality of zero.
bool is_refused(std::string_view parameters) {
  const size_t at = parameters.find("q=");
  if (at == std::string_view::npos) {
    return false;
  }
  const std::string_view quality = trimmed(parameters.substr(at + 2));
  return quality.find_first_not_of("0.") == std::string_view::npos;
}

void answer_file(const WebFile& file, const HttpRequest& request,
                 const std::shared_ptr<Exchange>& exchange) {
  HttpResponse response;
  response.content_type = file.content_type;
  response.headers = {{"ETag", file.etag},
                      // Names of files stay the same from release to release: ask each time.
                      {"Cache-Control", "no-cache"},
                      {"Vary", "Accept-Encoding"},
                      {"Content-Security-Policy", kContentSecurityPolicy},
                      {"X-Content-Type-Options", "nosniff"},
                      {"Referrer-Policy", "no-referrer"},
                      {"Cross-Origin-Opener-Policy", "same-origin"}};
  if (names_etag(request.header("If-None-Match"), file.etag)) {
    response.status = 304;
  } else if (accepts_gzip(request.header("Accept-Encoding"))) {
    response.headers.push_back({"Content-Encoding", "gzip"});
    response.body = file.gzip;
  } else {
    throw ApiError(406, "invalid_request_error",
                   "the page is stored as gzip, which Accept-Encoding does not allow", "",
                   "not_acceptable");
  }
  exchange->respond(std::move(response));
}

}  // namespace

bool names_etag(std::string_view if_none_match, std::string_view etag) {
  while (!if_none_match.empty()) {
    std::string_view item = take_item(if_none_match);
    if (item.substr(0, 2) == "W/") {
      item.remove_prefix(2);
    }
    if (item == "*" || item == etag) {
      return true;
    }
  }
  return false;
}

bool accepts_gzip(std::string_view accept_encoding) {
  if (trimmed(accept_encoding).empty()) {
    return true;
  }
  bool any = false;
  while (!accept_encoding.empty()) {
    const std::string item = lower(take_item(accept_encoding));
    const size_t end = std::min(item.find(';'), item.size());
    const std::string_view coding = trimmed(std::string_view(item).substr(0, end));
    const bool is_accepted = !is_refused(std::string_view(item).substr(end));
    if (coding == "gzip" || coding == "x-gzip") {
      return is_accepted;
    }
    any |= coding == "*" && is_accepted;
  }
  return any;
}

void add_web_routes(Router& router) {
  for (const WebFile& file : web_files()) {
    router.add(
        "GET", file.path,
        [&file](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
          answer_file(file, request, exchange);
        },
        true);
  }
}

}  // namespace mm
