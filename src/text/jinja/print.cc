#include "text/jinja/print.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

void append_quoted(BoundedString& out, std::string_view text) {
  const bool has_single = text.find('\'') != std::string_view::npos;
  const char quote = has_single && text.find('"') == std::string_view::npos ? '"' : '\'';
  out.append(1, quote);
  while (!text.empty()) {
    const size_t size = unit_size(text);
    const std::string_view unit = text.substr(0, size);
    const int32_t code_point = first_code_point(text);
    text.remove_prefix(size);
    if (code_point == '\n') {
      out.append("\\n");
    } else if (code_point == '\r') {
      out.append("\\r");
    } else if (code_point == '\t') {
      out.append("\\t");
    } else if (code_point == '\\' || code_point == quote) {
      out.append(1, '\\');
      out.append(unit);
    } else if (is_printable(code_point)) {
      out.append(unit);
    } else if (code_point < 0x100) {
      out.append(fmt::format("\\x{:02x}", code_point));
    } else if (code_point < 0x10000) {
      out.append(fmt::format("\\u{:04x}", code_point));
    } else {
      out.append(fmt::format("\\U{:08x}", code_point));
    }
  }
  out.append(1, quote);
}

void append_items(BoundedString& out, const List& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) {
      out.append(", ");
    }
    append_repr(out, items[i]);
  }
}

void append_sequence(BoundedString& out, const Sequence& sequence) {
  out.budget().step();
  switch (sequence.flavor) {
    case Flavor::kList:
      out.append("[");
      append_items(out, sequence.items);
      out.append("]");
      return;
    case Flavor::kTuple:
      out.append("(");
      append_items(out, sequence.items);
      out.append(sequence.items.size() == 1 ? ",)" : ")");
      return;
    case Flavor::kRange:
      out.append(sequence.label);
      return;
    case Flavor::kView:
      out.append(sequence.label);
      out.append("([");
      append_items(out, sequence.items);
      out.append("])");
      return;
    case Flavor::kGenerator:
      // Python prints an address here, which no template can want.
      fault("a generator cannot be printed; use `| list` or `| join` first");
  }
}

void append_dict(BoundedString& out, const Dict& dict) {
  out.budget().step();
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : dict.entries()) {
    out.append(first ? "" : ", ");
    first = false;
    append_repr(out, key);
    out.append(": ");
    append_repr(out, value);
  }
  out.append("}");
}

void append_json_string(BoundedString& out, std::string_view text, bool ascii) {
  out.append("\"");
  while (!text.empty()) {
    size_t plain = 0;
    while (plain < text.size() && static_cast<unsigned char>(text[plain]) >= 0x20 &&
           text[plain] != '"' && text[plain] != '\\' &&
           !(ascii && static_cast<unsigned char>(text[plain]) >= 0x7F)) {
      ++plain;
    }
    out.append(text.substr(0, plain));
    text.remove_prefix(plain);
    if (text.empty()) {
      break;
    }
    const int32_t code_point = first_code_point(text);
    text.remove_prefix(unit_size(text));
    constexpr std::string_view kEscaped = "\"\\\n\r\t\b\f";
    constexpr std::string_view kLetters = "\"\\nrtbf";
    const size_t at =
        code_point < 0x80 ? kEscaped.find(static_cast<char>(code_point)) : std::string_view::npos;
    if (at != std::string_view::npos) {
      out.append(1, '\\');
      out.append(1, kLetters[at]);
    } else if (code_point < 0x10000) {
      out.append(fmt::format("\\u{:04x}", code_point));
    } else {
      const int32_t offset = code_point - 0x10000;
      out.append(
          fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (offset >> 10), 0xDC00 + (offset & 0x3FF)));
    }
  }
  out.append("\"");
}

std::string json_number(double number) {
  if (std::isnan(number)) {
    return "NaN";
  }
  if (std::isinf(number)) {
    return number > 0 ? "Infinity" : "-Infinity";
  }
  return float_text(number);
}

std::string json_key(const Value& key) {
  if (key.is_string()) {
    return key.text();
  }
  if (key.is_bool()) {
    return key.boolean() ? "true" : "false";
  }
  if (key.is_none()) {
    return "null";
  }
  if (const auto integer = key.as_integer()) {
    return fmt::format("{}", *integer);
  }
  return json_number(key.number());
}

// Starts an item of a container: the separator, and the line break of pretty output.
void begin_item(BoundedString& out, const JsonStyle& style, bool first, int level) {
  if (!first) {
    out.append(style.item_end);
  }
  if (style.pretty) {
    out.append("\n");
    for (int i = 0; i < level; ++i) {
      out.append(style.indent);
    }
  }
}

void end_items(BoundedString& out, const JsonStyle& style, bool empty, int level) {
  if (!empty) {
    begin_item(out, style, true, level);
  }
}

void append_json_dict(BoundedString& out, const Dict& dict, const JsonStyle& style, int level) {
  std::vector<std::pair<std::string, const Value*>> members;
  for (const auto& [key, value] : dict.entries()) {
    members.emplace_back(json_key(key), &value);
  }
  if (style.sort_keys) {
    std::stable_sort(members.begin(), members.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
  }
  out.append("{");
  bool first = true;
  for (const auto& [key, value] : members) {
    begin_item(out, style, first, level + 1);
    first = false;
    append_json_string(out, key, style.ascii);
    out.append(style.key_end);
    append_json(out, *value, style, level + 1);
  }
  end_items(out, style, first, level);
  out.append("}");
}

}  // namespace

std::string float_text(double number) {
  if (std::isnan(number)) {
    return "nan";
  }
  if (std::isinf(number)) {
    return number > 0 ? "inf" : "-inf";
  }
  char buffer[64];
  const double size = std::abs(number);
  // The exponent at which repr() changes from plain digits to an exponent.
  const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
  const auto format = plain ? std::chars_format::fixed : std::chars_format::scientific;
  const auto result = std::to_chars(buffer, buffer + sizeof(buffer), number, format);
  std::string text(buffer, result.ptr);
  if (plain && text.find('.') == std::string::npos) {
    text += ".0";
  }
  return text;
}

void append_text(BoundedString& out, const Value& value) {
  if (value.is_string()) {
    out.append(value.text());
  } else if (!value.is_undefined()) {
    append_repr(out, value);
  }
}

Value text_of(Budget& budget, const Value& value) {
  if (value.is_string()) {
    return value;
  }
  BoundedString out(budget);
  append_text(out, value);
  return make_string(budget, out.take());
}

void append_repr(BoundedString& out, const Value& value) {
  if (value.is_undefined()) {
    out.append("Undefined");
  } else if (value.is_none()) {
    out.append("None");
  } else if (value.is_bool()) {
    out.append(value.boolean() ? "True" : "False");
  } else if (const auto integer = value.as_integer()) {
    out.append(fmt::format("{}", *integer));
  } else if (value.is_float()) {
    out.append(float_text(value.number()));
  } else if (value.is_string()) {
    append_quoted(out, value.text());
  } else if (value.is_sequence()) {
    append_sequence(out, value.sequence());
  } else if (value.is_dict()) {
    append_dict(out, value.dict());
  } else {
    out.append(value.object().text());
  }
}

void append_json(BoundedString& out, const Value& value, const JsonStyle& style, int level) {
  out.budget().step();
  if (value.is_none()) {
    out.append("null");
  } else if (value.is_bool()) {
    out.append(value.boolean() ? "true" : "false");
  } else if (const auto integer = value.as_integer()) {
    out.append(fmt::format("{}", *integer));
  } else if (value.is_float()) {
    out.append(json_number(value.number()));
  } else if (value.is_string()) {
    append_json_string(out, value.text(), style.ascii);
  } else if (value.is_dict()) {
    append_json_dict(out, value.dict(), style, level);
  } else if (value.is_sequence() && (value.sequence().flavor == Flavor::kList ||
                                     value.sequence().flavor == Flavor::kTuple)) {
    out.append("[");
    const List& items = value.sequence().items;
    for (size_t i = 0; i < items.size(); ++i) {
      begin_item(out, style, i == 0, level + 1);
      append_json(out, items[i], style, level + 1);
    }
    end_items(out, style, items.empty(), level);
    out.append("]");
  } else {
    require_defined(value);
    fault("a value of type '{}' has no JSON form", type_name(value));
  }
}

}  // namespace mm::jinja
