#include "serve/event_stream.h"

#include "base/error.h"

namespace mm {

namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool begins_with(std::string_view text, std::string_view beginning) {
  return text.substr(0, beginning.size()) == beginning;
}

}  // namespace

void EventStream::push(std::string_view bytes, FunctionRef<void(std::string_view data)> on_event) {
  while (!bytes.empty()) {
    if (after_cr_ && bytes.front() == '\n') {
      bytes.remove_prefix(1);
    }
    after_cr_ = false;
    const size_t end = bytes.find_first_of("\r\n");
    const std::string_view part = bytes.substr(0, end);
    if (line_.size() + data_.size() + part.size() > most_bytes_) {
      raise(ErrorKind::kTooLarge, "an event of the stream is over the limit of {} bytes",
            most_bytes_);
    }
    line_ += part;
    if (end == std::string_view::npos) {
      return;
    }
    after_cr_ = bytes[end] == '\r';
    bytes.remove_prefix(end + 1);
    end_line(on_event);
  }
}

void EventStream::end_line(FunctionRef<void(std::string_view data)> on_event) {
  std::string_view line = line_;
  if (first_line_ && begins_with(line, kByteOrderMark)) {
    line.remove_prefix(kByteOrderMark.size());
  }
  first_line_ = false;
  if (line.empty()) {
    if (!data_.empty()) {
      on_event(std::string_view(data_).substr(0, data_.size() - 1));
      data_.clear();
    }
  } else {
    const size_t colon = line.find(':');
    if (line.substr(0, colon) == "data") {
      std::string_view value = colon == std::string_view::npos ? "" : line.substr(colon + 1);
      if (begins_with(value, " ")) {
        value.remove_prefix(1);
      }
      data_ += value;
      data_ += '\n';
    }
  }
  line_.clear();
}

}  // namespace mm
