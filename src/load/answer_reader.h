/// What is measured of one request: taken from the events of its answer, with the times they came
/// at.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "serve/event_stream.h"
#include "serve/http_client.h"

namespace mm {

/// Times are in seconds since the load began.
struct RequestRecord {
  double due = 0;   ///< when the arrivals wanted it
  double sent = 0;  ///< when it was sent; before, a new connection was made if no open one was free
  double first = 0;  ///< when the first event with text came
  double end = 0;    ///< when the last event came; [DONE] is one
  /// Between one event with text and the next. Events that one read of the socket brought have no
  /// time between them.
  std::vector<double> gaps = {};
  int64_t events = 0;          ///< with text
  int64_t prompt_tokens = -1;  ///< as the server counts them; -1: it does not say
  int64_t cached_tokens = -1;  ///< of those, from a cache; -1: it does not say
  int64_t output_tokens = -1;  ///< likewise
  bool complete = false;       ///< the answer is whole: what is above can be counted
  std::string failure = {};    ///< neither complete nor stopped by us: what kind of failure
  std::string message = {};    ///< of the failure

  /// As the server counts them, else one for each event with text.
  int64_t tokens() const { return output_tokens >= 0 ? output_tokens : events; }
};

/// Reads the answer of a streamed chat or completion of OpenAI's API.
///
/// Text is `text` of a choice, or `content`, `reasoning_content`, `reasoning` or `tool_calls` of
/// its delta, unless it is empty. Kinds of failure: "connect", "timeout", "closed", "malformed"
/// (no HTTP, no events or no JSON), "http N" for a status that is not 200, "error event", and
/// "empty" for an answer without text.
class AnswerReader {
 public:
  explicit AnswerReader(double due) { record_.due = due; }

  void sent(double now) { record_.sent = now; }
  void head(int status, std::string_view content_type);
  /// False when there is no use in reading on.
  bool body(std::string_view piece, double now);
  /// The record. `message` is of the connection's end.
  RequestRecord end(HttpEnd how, const std::string& message, double now);

 private:
  void read_event(std::string_view data, double now);
  void read_choice(const JsonView& choice, double now);
  void read_usage(const JsonView& usage);
  void fail(const std::string& kind, const std::string& message);
  void judge(HttpEnd how, const std::string& message);

  RequestRecord record_;
  EventStream stream_;
  int status_ = 0;
  std::string refusal_;  ///< the beginning of a body that is no stream
  double last_text_ = 0;
  bool done_ = false;      ///< [DONE] has come
  bool finished_ = false;  ///< a choice has said why it ended
};

}  // namespace mm
