#include "serve/answer_parser.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace mm {

namespace {

constexpr std::string_view kThink = "<think>";
constexpr std::string_view kThinkEnd = "</think>";
constexpr std::string_view kCallsEnd = "</tool_calls>";
constexpr std::string_view kFunction = "functions.";
constexpr std::string_view kFence = "```";
constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kBetweenFunctions = " \t\r\n;";
/// White space that is left out before a marker, and so held back where one might come. More would
/// be held for long, and looked at again and again.
constexpr size_t kMostSpace = 64;
constexpr size_t kMostName = 256;

bool starts_with(std::string_view text, std::string_view prefix) {
  return text.substr(0, prefix.size()) == prefix;
}

/// Whether more text could make `text` start with `whole`.
bool may_become(std::string_view text, std::string_view whole) {
  return text.size() < whole.size() && starts_with(whole, text);
}

std::string_view trim_end(std::string_view text) {
  const size_t least = text.size() - std::min(text.size(), kMostSpace);
  return text.substr(0, std::max(least, text.find_last_not_of(kSpace) + 1));
}

/// Bytes that can leave while `marker`, and space before it, might begin in the rest.
size_t safe_length(std::string_view text, std::string_view marker) {
  size_t held = std::min(text.size(), marker.size() - 1);
  while (held > 0 && !may_become(text.substr(text.size() - held), marker)) {
    --held;
  }
  return trim_end(text.substr(0, text.size() - held)).size();
}

/// Text that is an object; nothing when it is no valid JSON.
std::optional<std::string> valid_object(std::string_view text) {
  try {
    const JsonDocument document = JsonDocument::parse(text, "arguments");
    return document.root().is_object() ? std::optional(document.root().dump()) : std::nullopt;
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// {"name": …, "arguments": {…}}; arguments may be missing, or be a string that holds an object.
std::optional<ToolCall> read_call(std::string_view text) {
  try {
    const JsonDocument document = JsonDocument::parse(text, "call");
    const std::optional<JsonView> name = document.root().find("name");
    if (!name || !name->is_string() || name->as_string("name").empty()) {
      return std::nullopt;
    }
    const std::optional<JsonView> given = document.root().find("arguments");
    const std::optional<std::string> arguments = !given || given->is_null() ? "{}"
                                                 : given->is_string()
                                                     ? valid_object(given->as_string("arguments"))
                                                     : valid_object(given->dump());
    if (!arguments) {
      return std::nullopt;
    }
    return ToolCall{std::string(name->as_string("name")), *arguments};
  } catch (const Error&) {
    return std::nullopt;
  }
}

bool is_name_byte(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

}  // namespace

size_t AnswerParser::ObjectScan::end_in(std::string_view text) {
  for (; end == 0 && at < text.size(); ++at) {
    const char c = text[at];
    if (in_string) {
      in_string = escaped || c != '"';
      escaped = !escaped && c == '\\';
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if ((c == '}' || c == ']') && --depth == 0) {
      end = at + 1;
    }
  }
  return end;
}

AnswerParser::AnswerParser(const AnswerParserOptions& options)
    : options_(options), marker_(options.tools ? calls_marker(options.format) : "") {
  if (options_.format != ToolFormat::kM1) {
    state_ = State::kText;  // thoughts are M1's
  }
  buffer_ = options_.begun;
  while (step()) {
  }
}

std::vector<AnswerPart> AnswerParser::push(std::string_view piece) {
  if (done()) {
    return {};
  }
  buffer_ += piece;
  while (!done() && step()) {
  }
  return std::exchange(parts_, {});
}

std::vector<AnswerPart> AnswerParser::finish() {
  if (done()) {
    return {};
  }
  switch (state_) {
    case State::kReasoning:
      emit(AnswerPart::Kind::kReasoning, trim_end(buffer_));
      break;
    case State::kCalls:
      emit(AnswerPart::Kind::kText, trim_end(buffer_));
      break;
    case State::kStart:
    case State::kText:
      emit(AnswerPart::Kind::kText, buffer_);
      break;
  }
  buffer_.clear();
  return std::exchange(parts_, {});
}

bool AnswerParser::step() {
  switch (state_) {
    case State::kStart:
      return step_start();
    case State::kReasoning:
      return step_reasoning();
    case State::kText:
      return step_text();
    case State::kCalls:
      break;
  }
  return options_.format == ToolFormat::kM1 ? step_calls_m1() : step_calls_text01();
}

bool AnswerParser::step_start() {
  const size_t begin = std::min(buffer_.find_first_not_of(kSpace), buffer_.size());
  const std::string_view rest = std::string_view(buffer_).substr(begin);
  if (may_become(rest, kThink) && begin <= kMostSpace) {
    return false;
  }
  state_ = State::kText;
  if (starts_with(rest, kThink) && begin <= kMostSpace) {
    state_ = State::kReasoning;
    drop(begin + kThink.size());
    trims_ = true;
  }
  return true;
}

bool AnswerParser::step_reasoning() {
  const size_t end = buffer_.find(kThinkEnd);
  if (end == std::string::npos) {
    const size_t safe = safe_length(buffer_, kThinkEnd);
    emit(AnswerPart::Kind::kReasoning, std::string_view(buffer_).substr(0, safe));
    drop(safe);
    return false;
  }
  emit(AnswerPart::Kind::kReasoning, trim_end(std::string_view(buffer_).substr(0, end)));
  drop(end + kThinkEnd.size());
  state_ = State::kText;
  trims_ = true;
  return true;
}

bool AnswerParser::step_text() {
  const size_t begin = marker_.empty() ? std::string::npos : buffer_.find(marker_);
  if (begin == std::string::npos) {
    const size_t safe = marker_.empty() ? buffer_.size() : safe_length(buffer_, marker_);
    emit(AnswerPart::Kind::kText, std::string_view(buffer_).substr(0, safe));
    drop(safe);
    return false;
  }
  emit(AnswerPart::Kind::kText, trim_end(std::string_view(buffer_).substr(0, begin)));
  drop(begin + marker_.size());
  state_ = State::kCalls;
  return true;
}

bool AnswerParser::step_calls_m1() {
  if (scan_.at == 0) {
    drop_any(kSpace);
  }
  if (may_become(buffer_, kCallsEnd)) {
    return false;
  }
  if (starts_with(buffer_, kCallsEnd)) {
    drop(kCallsEnd.size());
    leave_calls();
    return true;
  }
  if (buffer_.front() != '{') {
    leave_calls();  // no call: what follows is text
    return true;
  }
  const size_t end = scan_.end_in(buffer_);
  if (end == 0) {
    return false;
  }
  const std::string text = buffer_.substr(0, end);
  drop(end);
  if (std::optional<ToolCall> call = read_call(text)) {
    emit_call(std::move(*call));
  } else {
    emit(AnswerPart::Kind::kText, text);
  }
  return true;
}

bool AnswerParser::step_calls_text01() {
  if (scan_.at == 0) {
    drop_any(kBetweenFunctions);
  }
  if (may_become(buffer_, kFence) || may_become(buffer_, kFunction)) {
    return false;
  }
  if (starts_with(buffer_, kFunction)) {
    return take_function();
  }
  if (!starts_with(buffer_, kFence)) {
    leave_calls();  // no call: what follows is text
    return true;
  }
  if (std::exchange(fence_open_, !fence_open_)) {
    drop(kFence.size());
    leave_calls();
    return true;
  }
  const size_t line = buffer_.find('\n');
  if (line == std::string::npos) {
    fence_open_ = false;  // until its line is whole
    return false;
  }
  drop(line + 1);
  return true;
}

/// functions.NAME({…}), with or without a semicolon.
bool AnswerParser::take_function() {
  const std::string_view text = buffer_;
  const auto* const name_end =
      std::find_if_not(text.begin() + kFunction.size(), text.end(), is_name_byte);
  if (name_end == text.end() && text.size() <= kMostName) {
    return false;
  }
  const std::string_view name = text.substr(
      kFunction.size(), static_cast<size_t>(name_end - text.begin()) - kFunction.size());
  if (name.empty() || name_end == text.end() || *name_end != '(') {
    return take_no_function();
  }
  const size_t begin = text.find_first_not_of(kSpace, kFunction.size() + name.size() + 1);
  if (begin == std::string_view::npos) {
    return false;
  }
  std::optional<std::string> arguments = "{}";  // functions.NAME()
  size_t end = begin;
  if (text[begin] == '{') {
    const size_t length = scan_.end_in(text.substr(begin));
    const size_t closed = text.find_first_not_of(kSpace, begin + length);
    if (length == 0 || closed == std::string_view::npos) {
      return false;
    }
    end = closed;
    arguments = valid_object(text.substr(begin, length));
  }
  if (!arguments || text[end] != ')') {
    return take_no_function();
  }
  ToolCall call{std::string(name), *arguments};
  drop(end + 1);
  emit_call(std::move(call));
  return true;
}

bool AnswerParser::take_no_function() {
  leave_calls();
  trims_ = false;
  return true;
}

void AnswerParser::emit(AnswerPart::Kind kind, std::string_view text) {
  if (trims_) {
    text.remove_prefix(std::min(text.find_first_not_of(kSpace), text.size()));
  }
  if (text.empty()) {
    return;
  }
  trims_ = false;
  if (!parts_.empty() && parts_.back().kind == kind) {
    parts_.back().text += text;
  } else {
    parts_.push_back({.kind = kind, .text = std::string(text)});
  }
}

void AnswerParser::emit_call(ToolCall call) {
  parts_.push_back({.kind = AnswerPart::Kind::kToolCall, .call = std::move(call)});
  ++calls_;
}

void AnswerParser::leave_calls() {
  state_ = State::kText;
  fence_open_ = false;
  trims_ = true;
}

void AnswerParser::drop(size_t bytes) {
  buffer_.erase(0, bytes);
  scan_ = {};
}

void AnswerParser::drop_any(std::string_view bytes) {
  drop(std::min(buffer_.find_first_not_of(bytes), buffer_.size()));
}

}  // namespace mm
