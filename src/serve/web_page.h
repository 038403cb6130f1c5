/// The web chat: files that were put into the program when it was built (cmake/embed_web.cmake).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/router.h"

namespace mm {

struct WebFile {
  std::string path;  ///< as asked for, "/" for the page itself
  std::string content_type;
  std::string etag;       ///< of the content, with its quotes
  std::string_view gzip;  ///< lives as long as the program
};

/// In order of name.
const std::vector<WebFile>& web_files();

/// Whether If-None-Match names this tag or is "*" (RFC 9110, section 13.1.2: weak comparison).
bool names_etag(std::string_view if_none_match, std::string_view etag);

/// Whether Accept-Encoding lets a body be sent as gzip; an absent header does.
bool accepts_gzip(std::string_view accept_encoding);

/// Adds the page and what it is made of. No key is asked for: it is the page that asks for it.
void add_web_routes(Router& router);

}  // namespace mm
