#include "load/answer_reader.h"

#include <algorithm>

#include "base/error.h"

namespace mm {

namespace {

constexpr size_t kMaxRefusalBytes = 64 << 10;
constexpr size_t kMaxMessageBytes = 300;

/// At most so much of a text of others that a report stays readable.
std::string shortened(std::string_view text) {
  if (text.size() <= kMaxMessageBytes) {
    return std::string(text);
  }
  size_t end = kMaxMessageBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
    --end;  // not within a character
  }
  return std::string(text.substr(0, end)) + "…";
}

/// The member's text; empty when it is none.
std::string_view text_of(const JsonView& object, std::string_view key) {
  const std::optional<JsonView> value = object.find(key);
  return value && value->is_string() ? value->as_string(key) : std::string_view();
}

/// A count of tokens; -1 when there is none.
int64_t count_of(const JsonView& object, std::string_view key) {
  const std::optional<JsonView> value = object.find(key);
  return value && value->is_int() ? std::max<int64_t>(value->as_int(key), -1) : -1;
}

/// The sentence of {"error": {"message"}} and its relatives; else all of it.
std::string error_message(const JsonView& body) {
  const JsonView error = body.find("error").value_or(body);
  if (error.is_string()) {
    return shortened(error.as_string("error"));
  }
  const std::string_view message = text_of(error, "message");
  return shortened(message.empty() ? error.dump() : message);
}

std::string refusal_message(std::string_view body) {
  try {
    const JsonDocument document = JsonDocument::parse(body, "answer");
    return error_message(document.root());
  } catch (const Error&) {
    return shortened(body);
  }
}

bool has_text(const JsonView& choice) {
  if (!text_of(choice, "text").empty()) {
    return true;
  }
  const std::optional<JsonView> delta = choice.find("delta");
  if (!delta) {
    return false;
  }
  for (const char* key : {"content", "reasoning_content", "reasoning"}) {
    if (!text_of(*delta, key).empty()) {
      return true;
    }
  }
  const std::optional<JsonView> calls = delta->find("tool_calls");
  return calls && calls->is_array() && !calls->elements("tool_calls").empty();
}

}  // namespace

void AnswerReader::head(int status, std::string_view content_type) {
  constexpr std::string_view kEvents = "text/event-stream";
  status_ = status;
  if (status == 200 && content_type.substr(0, kEvents.size()) != kEvents) {
    fail("malformed",
         "the answer is \"" + shortened(content_type) + "\", expected " + std::string(kEvents));
  }
}

bool AnswerReader::body(std::string_view piece, double now) {
  if (status_ != 200) {
    refusal_ += piece.substr(0, kMaxRefusalBytes - refusal_.size());
    return refusal_.size() < kMaxRefusalBytes;
  }
  if (record_.failure.empty()) {
    try {
      stream_.push(piece, [&](std::string_view data) { read_event(data, now); });
    } catch (const Error& error) {
      fail("malformed", error.what());
    }
  }
  return record_.failure.empty();
}

void AnswerReader::read_event(std::string_view data, double now) {
  if (done_ || !record_.failure.empty()) {
    return;
  }
  record_.end = now;
  if (data == "[DONE]") {
    done_ = true;
    return;
  }
  const JsonDocument document = JsonDocument::parse(data, "event");
  const JsonView event = document.root();
  const std::optional<JsonView> error = event.find("error");
  if (error && !error->is_null()) {
    fail("error event", error_message(event));
    return;
  }
  const std::optional<JsonView> choices = event.find("choices");
  if (choices && choices->is_array()) {
    for (const JsonView& choice : choices->elements("choices")) {
      read_choice(choice, now);
    }
  }
  const std::optional<JsonView> usage = event.find("usage");
  if (usage && usage->is_object()) {
    read_usage(*usage);
  }
}

void AnswerReader::read_choice(const JsonView& choice, double now) {
  const std::optional<JsonView> reason = choice.find("finish_reason");
  finished_ = finished_ || (reason && reason->is_string());
  if (!has_text(choice)) {
    return;
  }
  if (record_.events == 0) {
    record_.first = now;
  } else {
    record_.gaps.push_back(now - last_text_);
  }
  last_text_ = now;
  ++record_.events;
}

void AnswerReader::read_usage(const JsonView& usage) {
  record_.prompt_tokens = count_of(usage, "prompt_tokens");
  record_.output_tokens = count_of(usage, "completion_tokens");
  const std::optional<JsonView> details = usage.find("prompt_tokens_details");
  record_.cached_tokens = details ? count_of(*details, "cached_tokens") : -1;
}

RequestRecord AnswerReader::end(HttpEnd how, const std::string& message, double now) {
  if (record_.end == 0) {
    record_.end = now;
  }
  if (record_.failure.empty()) {
    judge(how, message);
  }
  return std::move(record_);
}

void AnswerReader::judge(HttpEnd how, const std::string& message) {
  if (how == HttpEnd::kRefused) {
    fail("connect", message);
  } else if (how == HttpEnd::kMalformed) {
    fail("malformed", message);
  } else if (how == HttpEnd::kTimeout) {
    fail("timeout", message);
  } else if (status_ != 200 && status_ != 0) {
    fail("http " + std::to_string(status_), refusal_message(refusal_));
  } else if (how == HttpEnd::kStopped) {
    return;
  } else if (!done_ && how == HttpEnd::kClosed) {
    fail("closed", message);
  } else if (!done_ && !finished_) {
    fail("closed", "the stream ended before the answer did");
  } else if (record_.events == 0) {
    fail("empty", "the answer has no text");
  } else {
    record_.complete = true;
  }
}

void AnswerReader::fail(const std::string& kind, const std::string& message) {
  record_.failure = kind;
  record_.message = message;
}

}  // namespace mm
