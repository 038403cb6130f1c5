/// What the writers of answers share: ids, JSON as text, events.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "serve/http.h"

namespace mm {

/// `prefix` and what makes it unlike any other of this process and, by its time, of those before
/// it.
std::string make_answer_id(std::string_view prefix);

/// Seconds since 1970.
int64_t unix_seconds();

/// Compact text. Bytes that are not UTF-8 become U+FFFD.
std::string dump_json(const Json& json);

/// The head of a stream of events, kept alive by `heartbeat`.
HttpResponse event_stream_head(std::string heartbeat);
/// "data: …\n\n".
std::string sse_data(const Json& json);
/// "event: TYPE\ndata: …\n\n": the event's name is its member "type".
std::string sse_event(const Json& event);

}  // namespace mm
