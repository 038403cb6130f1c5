/// A load: requests sent to a server at their times, each answer measured.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "load/answer_reader.h"
#include "serve/http_client.h"

namespace mm {

struct LoadRequest {
  HttpCall call;
  double due = 0;  ///< seconds after the load began; ascending
};

struct LoadResult {
  std::vector<RequestRecord> records;  ///< of those that were sent, in this order
  double seconds = 0;    ///< from the first request's sending to the last answer's end
  int64_t peak = 0;      ///< most requests under way at once
  bool stopped = false;  ///< before all were answered
};

/// Sends every request when it is due, or, when `most_at_once` (0: no limit) are under way, when
/// one of those ends; returns when all have ended. `go_on` is asked after every answer and at least
/// every 50 ms, with the number of answers, and must not throw; what is under way is ended when it
/// says false. Times are taken and sockets served by the calling thread alone.
LoadResult run_load(HttpClient& client, std::vector<LoadRequest> requests, int64_t most_at_once,
                    const std::function<bool(int64_t answered)>& go_on);

}  // namespace mm
