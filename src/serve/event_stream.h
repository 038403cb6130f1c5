/// Server-sent events, taken from bytes as they come.
///
/// Source: WHATWG HTML, "Server-sent events", 9.2.6 (interpreting an event stream). Names, ids and
/// retry times of events are left out: no API that we read gives them a meaning of its own.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/function_ref.h"

namespace mm {

/// The state between two pieces. Events come out the same however the bytes are cut.
class EventStream {
 public:
  /// `most_bytes`: of one event.
  explicit EventStream(size_t most_bytes = size_t{16} << 20) : most_bytes_(most_bytes) {}

  /// Adds bytes and calls `on_event` with the data of each event that they complete: its data lines
  /// joined by line feeds. Comments, other fields and events without data are passed over; so is an
  /// event that the end of the stream cuts off. Throws kTooLarge for an event over the limit.
  void push(std::string_view bytes, FunctionRef<void(std::string_view data)> on_event);

 private:
  void end_line(FunctionRef<void(std::string_view data)> on_event);

  size_t most_bytes_;
  std::string line_;
  std::string data_;  ///< each line with a line feed behind it
  bool first_line_ = true;
  bool after_cr_ = false;  ///< a line feed now belongs to the line end before it
};

}  // namespace mm
