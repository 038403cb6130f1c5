#include "serve/http_url.h"

#include <algorithm>
#include <charconv>

#include "base/error.h"

namespace mm {

namespace {

constexpr uint16_t kHttpPort = 80;
constexpr uint16_t kHttpsPort = 443;

/// Takes `beginning` away; false when `text` begins otherwise.
bool take(std::string_view& text, std::string_view beginning) {
  if (text.substr(0, beginning.size()) != beginning) {
    return false;
  }
  text.remove_prefix(beginning.size());
  return true;
}

[[noreturn]] void refuse(std::string_view url, std::string_view why) {
  bad_input("URL \"{}\": {}; expected http://HOST[:PORT], https://HOST[:PORT] or unix:PATH", url,
            why);
}

uint16_t parse_port(std::string_view url, std::string_view text) {
  uint16_t port = 0;
  const char* const end = text.data() + text.size();
  const auto [rest, code] = std::from_chars(text.data(), end, port);
  if (code != std::errc() || rest != end || port == 0) {
    refuse(url, "its port is none");
  }
  return port;
}

/// Host and port out of "HOST[:PORT]".
void parse_authority(std::string_view url, std::string_view text, HttpUrl& result) {
  size_t end = text.find(':');
  if (take(text, "[")) {
    end = text.find(']');
    if (end == std::string_view::npos) {
      refuse(url, "an address in brackets does not end");
    }
    result.host = text.substr(0, end);
    text.remove_prefix(end + 1);
  } else {
    result.host = text.substr(0, end);
    text.remove_prefix(std::min(end, text.size()));
  }
  if (result.host.empty()) {
    refuse(url, "it names no host");
  }
  result.port = result.tls ? kHttpsPort : kHttpPort;
  if (take(text, ":")) {
    result.port = parse_port(url, text);
  } else if (!text.empty()) {
    refuse(url, "something stands behind the brackets");
  }
}

}  // namespace

std::string HttpUrl::authority() const {
  if (host.empty()) {
    return "localhost";
  }
  const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
  return port == (tls ? kHttpsPort : kHttpPort) ? name : name + ":" + std::to_string(port);
}

HttpUrl parse_http_url(std::string_view url) {
  const auto is_odd = [](char c) {
    const auto byte = static_cast<unsigned char>(c);
    return byte <= ' ' || byte == 0x7F;
  };
  HttpUrl result;
  std::string_view rest = url;
  if (take(rest, "unix:")) {
    if (rest.empty()) {
      refuse(url, "it names no socket");
    }
    result.unix_socket = rest;
    return result;
  }
  result.tls = take(rest, "https://");
  if (!result.tls && !take(rest, "http://")) {
    refuse(url, "its scheme is not known");
  }
  // What would need an encoding, or would end the request's first line.
  if (std::any_of(rest.begin(), rest.end(), is_odd)) {
    refuse(url, "it has a space or a control character");
  }
  if (rest.find_first_of("?#@") != std::string_view::npos) {
    refuse(url, "it has a user, a query or a fragment");
  }
  const size_t slash = std::min(rest.find('/'), rest.size());
  parse_authority(url, rest.substr(0, slash), result);
  std::string_view base = rest.substr(slash);
  const auto drop_slashes = [&base] {
    while (!base.empty() && base.back() == '/') {
      base.remove_suffix(1);
    }
  };
  drop_slashes();
  constexpr std::string_view kVersion = "/v1";
  if (base.size() >= kVersion.size() && base.substr(base.size() - kVersion.size()) == kVersion) {
    base.remove_suffix(kVersion.size());
    drop_slashes();
  }
  result.base = base;
  return result;
}

}  // namespace mm
