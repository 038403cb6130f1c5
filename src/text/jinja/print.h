/// Values as text: Python's str() and repr(), and JSON as json.dumps writes it.
#pragma once

#include <string>
#include <string_view>

#include "text/jinja/value.h"

namespace mm::jinja {

/// repr() of a float: the shortest digits that read back, with ".0" for whole numbers.
std::string float_text(double number);

/// str(value), as {{ value }} prints it; nothing for undefined.
void append_text(BoundedString& out, const Value& value);
/// str(value) as a value; strings are shared, not copied.
Value text_of(Budget& budget, const Value& value);
/// repr(value).
void append_repr(BoundedString& out, const Value& value);

/// Options of json.dumps; the defaults are those of Hugging Face's `tojson`.
struct JsonStyle {
  bool ascii = false;   ///< \uXXXX for everything outside ASCII
  bool pretty = false;  ///< one item per line, indented by `indent`
  std::string indent;   ///< one level
  std::string item_end = ", ";
  std::string key_end = ": ";
  bool sort_keys = false;
};

/// Appends JSON. Throws kBadInput for values JSON has no form for, undefined among them.
void append_json(BoundedString& out, const Value& value, const JsonStyle& style, int level = 0);

}  // namespace mm::jinja
