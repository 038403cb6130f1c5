/// Where a server is, as a URL says it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mm {

struct HttpUrl {
  bool tls = false;
  std::string host;         ///< a name or an address, without brackets; empty: a UNIX socket
  uint16_t port = 0;        ///< of `host`
  std::string unix_socket;  ///< the socket's path; empty: none
  std::string base;         ///< stands before the path of every request; "" or "/a/b"

  /// What a Host header says: the port only where it is not the scheme's own.
  std::string authority() const;
};

/// "http://HOST[:PORT][/BASE]", "https://HOST[:PORT][/BASE]" or "unix:PATH"; an IPv6 address stands
/// in brackets. A "/v1" at the end is left out, since the paths of the API begin with it. Throws
/// kBadInput for anything else.
HttpUrl parse_http_url(std::string_view url);

}  // namespace mm
