#include "serve/answer_text.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <utility>

namespace mm {

std::string make_answer_id(std::string_view prefix) {
  static std::atomic<uint64_t> count = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return fmt::format("{}{:x}{:04x}", prefix, now, ++count);
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::string dump_json(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

HttpResponse event_stream_head(std::string heartbeat) {
  HttpResponse head;
  head.content_type = "text/event-stream";
  head.headers.push_back({"Cache-Control", "no-cache"});
  head.heartbeat = std::move(heartbeat);
  return head;
}

std::string sse_data(const Json& json) {
  return "data: " + dump_json(json) + "\n\n";
}

std::string sse_event(const Json& event) {
  return fmt::format("event: {}\ndata: {}\n\n", event["type"].get_ref<const std::string&>(),
                     dump_json(event));
}

}  // namespace mm
