#include "text/jinja/format.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr int64_t kMaxPrecision = 300;

// How one value is to be written; the union of both mini-languages.
struct Spec {
  std::string_view fill = " ";
  char align = '\0';  // < > ^ = or by type
  char sign = '-';    // - + or space
  bool alternate = false;
  bool thousands = false;
  int64_t width = 0;
  int64_t precision = -1;
  char type = '\0';
};

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}
  bool done() const { return at_ >= text_.size(); }
  char peek() const { return done() ? '\0' : text_[at_]; }
  char next() { return done() ? '\0' : text_[at_++]; }
  bool accept(char c) {
    if (peek() != c || done()) {
      return false;
    }
    ++at_;
    return true;
  }
  int64_t number() {
    int64_t value = 0;
    while (peek() >= '0' && peek() <= '9') {
      value = std::min<int64_t>(value * 10 + (next() - '0'), int64_t{1} << 40);
    }
    return value;
  }
  std::string_view until(std::string_view stops) {
    const size_t begin = at_;
    at_ = std::min(text_.find_first_of(stops, at_), text_.size());
    return text_.substr(begin, at_ - begin);
  }
  std::string_view rest() const { return text_.substr(at_); }
  void skip(size_t bytes) { at_ += bytes; }

 private:
  std::string_view text_;
  size_t at_ = 0;
};

void append_padded(BoundedString& out, const Spec& spec, std::string_view text, char fallback) {
  const auto size = static_cast<int64_t>(count_code_points(text));
  const int64_t missing = std::max<int64_t>(spec.width - size, 0);
  const char align = spec.align == '\0' ? fallback : spec.align;
  size_t head = 0;  // the sign stays in front of zeros
  if (align == '=' && !text.empty() && (text[0] == '-' || text[0] == '+' || text[0] == ' ')) {
    head = 1;
  }
  const int64_t before = align == '<' ? 0 : align == '^' ? missing / 2 : missing;
  out.budget().step(missing);
  out.append(text.substr(0, head));
  for (int64_t i = 0; i < before; ++i) {
    out.append(spec.fill);
  }
  out.append(text.substr(head));
  for (int64_t i = before; i < missing; ++i) {
    out.append(spec.fill);
  }
}

std::string with_thousands(std::string digits) {
  const size_t dot = std::min(digits.find('.'), digits.size());
  for (size_t at = dot; at > 3; at -= 3) {
    digits.insert(at - 3, ",");
  }
  return digits;
}

std::string integer_digits(uint64_t size, const Spec& spec) {
  switch (spec.type) {
    case 'x':
      return (spec.alternate ? "0x" : "") + fmt::format("{:x}", size);
    case 'X':
      return (spec.alternate ? "0X" : "") + fmt::format("{:X}", size);
    case 'o':
      return (spec.alternate ? "0o" : "") + fmt::format("{:o}", size);
    case 'b':
      return (spec.alternate ? "0b" : "") + fmt::format("{:b}", size);
    default:
      return fmt::format("{}", size);
  }
}

std::string float_digits(double size, const Spec& spec) {
  const int precision = static_cast<int>(spec.precision < 0 ? 6 : spec.precision);
  switch (spec.type) {
    case 'e':
      return fmt::format("{:.{}e}", size, precision);
    case 'E':
      return fmt::format("{:.{}E}", size, precision);
    case 'g':
      return fmt::format("{:.{}g}", size, std::max(precision, 1));
    case 'G':
      return fmt::format("{:.{}G}", size, std::max(precision, 1));
    case '%':
      return fmt::format("{:.{}f}%", size * 100, precision);
    default:
      return fmt::format("{:.{}f}", size, precision);
  }
}

void append_number(BoundedString& out, const Spec& spec, const Value& value) {
  const bool as_float = std::string_view("eEfFgG%").find(spec.type) != std::string_view::npos;
  const auto integer = value.as_integer();
  bool negative = false;
  std::string digits;
  if (as_float || !integer) {
    const double number = *value.as_number();
    negative = std::signbit(number);
    const bool plain = !as_float && spec.precision < 0;
    digits = plain ? float_text(std::abs(number)) : float_digits(std::abs(number), spec);
  } else {
    negative = *integer < 0;
    const auto size = static_cast<uint64_t>(*integer);
    digits = integer_digits(negative ? ~size + 1 : size, spec);
  }
  if (spec.thousands) {
    digits = with_thousands(std::move(digits));
  }
  const std::string sign = negative ? "-" : spec.sign == '-' ? "" : std::string(1, spec.sign);
  append_padded(out, spec, sign + digits, '>');
}

void append_string(BoundedString& out, const Spec& spec, std::string_view text, char align) {
  out.budget().scan(text.size());
  if (spec.precision >= 0) {
    std::string_view rest = text;
    for (int64_t i = 0; i < spec.precision && !rest.empty(); ++i) {
      rest.remove_prefix(unit_size(rest));
    }
    text.remove_suffix(rest.size());
  }
  append_padded(out, spec, text, align);
}

std::string text_or_repr(Budget& budget, const Value& value, bool repr) {
  BoundedString text(budget);
  if (repr) {
    append_repr(text, value);
  } else {
    append_text(text, value);
  }
  return text.take();
}

void check_spec(const BoundedString& out, const Spec& spec, Budget& budget) {
  if (spec.width > 0) {
    budget.check_string(static_cast<size_t>(spec.width) + out.size());
  }
  if (spec.precision > kMaxPrecision && spec.type != 's') {
    too_large("a precision of {} digits is over the limit of {}", spec.precision, kMaxPrecision);
  }
}

Spec read_percent_spec(Reader& reader) {
  Spec spec;
  for (bool flag = true; flag;) {
    flag = true;
    if (reader.accept('-')) {
      spec.align = '<';
    } else if (reader.accept('+')) {
      spec.sign = '+';
    } else if (reader.accept(' ')) {
      spec.sign = spec.sign == '+' ? '+' : ' ';
    } else if (reader.accept('#')) {
      spec.alternate = true;
    } else if (reader.accept('0')) {
      spec.fill = "0";
    } else {
      flag = false;
    }
  }
  if (spec.fill == "0") {
    spec.align = spec.align == '<' ? '<' : '=';
    spec.fill = spec.align == '<' ? " " : "0";
  }
  spec.width = reader.number();
  if (reader.accept('.')) {
    spec.precision = reader.number();
  }
  spec.type = reader.next();
  return spec;
}

void append_percent(BoundedString& out, Spec spec, const Value& value) {
  Budget& budget = out.budget();
  check_spec(out, spec, budget);
  if (spec.type == 's' || spec.type == 'r') {
    spec.fill = " ";
    spec.align = spec.align == '<' ? '<' : '>';
    append_string(out, spec, text_or_repr(budget, value, spec.type == 'r'), '>');
    return;
  }
  if (spec.type == 'c' && value.is_string() && count_code_points(value.text()) == 1) {
    append_padded(out, spec, value.text(), '>');
    return;
  }
  if (std::string_view("diuxXoeEfFgG").find(spec.type) == std::string_view::npos ||
      spec.type == '\0') {
    fault("unsupported format character '{}'", spec.type == '\0' ? ' ' : spec.type);
  }
  if (!value.is_number()) {
    require_defined(value);
    fault("%{} format: a number is required, not {}", spec.type, type_name(value));
  }
  const bool truncates = std::string_view("diu").find(spec.type) != std::string_view::npos;
  if (truncates && value.is_float()) {
    if (!(std::abs(value.number()) < 9e18)) {
      too_large("the number {} does not fit in 64 bits", value.number());
    }
    append_number(out, spec, Value(static_cast<int64_t>(value.number())));
    return;
  }
  append_number(out, spec, value);
}

Spec read_brace_spec(std::string_view text) {
  Spec spec;
  Reader reader(text);
  constexpr std::string_view kAligns = "<>^=";
  const size_t first = text.empty() ? 0 : unit_size(text);
  if (first > 0 && text.size() > first && kAligns.find(text[first]) != std::string_view::npos) {
    spec.fill = text.substr(0, first);
    reader.skip(first);
  }
  if (!reader.done() && kAligns.find(reader.peek()) != std::string_view::npos) {
    spec.align = reader.next();
  }
  if (reader.peek() == '+' || reader.peek() == '-' || reader.peek() == ' ') {
    spec.sign = reader.next();
  }
  spec.alternate = reader.accept('#');
  if (reader.accept('0') && spec.align == '\0') {
    spec.fill = "0";
    spec.align = '=';
  }
  spec.width = reader.number();
  spec.thousands = reader.accept(',');
  if (reader.accept('.')) {
    spec.precision = reader.number();
  }
  spec.type = reader.next();
  if (!reader.done() ||
      std::string_view("sdxXobeEfFgG%").find(spec.type) == std::string_view::npos) {
    if (spec.type != '\0' || !reader.done()) {
      fault("unsupported format specification '{}'", text);
    }
  }
  return spec;
}

// One replacement field, without its braces.
class FieldWriter {
 public:
  FieldWriter(Runtime& runtime, const Arguments& arguments)
      : runtime_(runtime), arguments_(arguments) {}

  void append(BoundedString& out, std::string_view field) {
    Reader reader(field);
    Value value = lookup(reader);
    char conversion = 's';
    const bool converted = reader.accept('!');
    if (converted) {
      conversion = reader.next();
      if (conversion != 's' && conversion != 'r') {
        fault("unsupported conversion '!{}' in a format string", conversion);
      }
    }
    if (!reader.done() && !reader.accept(':')) {
      fault("unsupported replacement field '{{{}}}' in a format string", field);
    }
    const Spec spec = read_brace_spec(reader.rest());
    check_spec(out, spec, runtime_.budget());
    const bool numeric = !converted && value.is_number() && spec.type != 's' &&
                         !(value.is_bool() && spec.type == '\0');
    if (numeric) {
      append_number(out, spec, value);
      return;
    }
    if (spec.type != 's' && spec.type != '\0') {
      fault("format code '{}' does not fit a value of type '{}'", spec.type, type_name(value));
    }
    append_string(out, spec, text_or_repr(runtime_.budget(), value, conversion == 'r'), '<');
  }

 private:
  Value lookup(Reader& reader) {
    const std::string_view name = reader.until(".[!:");
    Value value =
        name.empty() || (name[0] >= '0' && name[0] <= '9') ? positional(name) : named(name);
    while (reader.peek() == '.' || reader.peek() == '[') {
      if (reader.accept('.')) {
        value = attribute_of(runtime_, value, reader.until(".[!:"));
        continue;
      }
      reader.next();
      const std::string_view key = reader.until("]");
      reader.accept(']');
      value = path_of(runtime_, value, make_text(key));
    }
    return value;
  }

  Value positional(std::string_view name) {
    Reader digits(name);
    const size_t index = name.empty() ? next_++ : static_cast<size_t>(digits.number());
    if (!digits.done() || index >= arguments_.positional.size()) {
      fault("format string asks for argument {}, of {} given", name.empty() ? "{}" : name,
            arguments_.positional.size());
    }
    return arguments_.positional[index];
  }

  Value named(std::string_view name) {
    for (const auto& [key, value] : arguments_.named) {
      if (key == name) {
        return value;
      }
    }
    fault("format string asks for '{}', which is not among the arguments", name);
  }

  Runtime& runtime_;
  const Arguments& arguments_;
  size_t next_ = 0;
};

}  // namespace

Value format_percent(Budget& budget, std::string_view format, const List& arguments) {
  BoundedString out(budget);
  Reader reader(format);
  size_t used = 0;
  while (!reader.done()) {
    out.append(reader.until("%"));
    if (!reader.accept('%')) {
      break;
    }
    budget.step();
    if (reader.accept('%')) {
      out.append("%");
      continue;
    }
    const Spec spec = read_percent_spec(reader);
    if (used >= arguments.size()) {
      fault("not enough arguments for format string '{}'", format.substr(0, 80));
    }
    append_percent(out, spec, arguments[used++]);
  }
  if (used < arguments.size() && !(arguments.size() == 1 && arguments[0].is_dict())) {
    fault("not all arguments converted during string formatting");
  }
  return make_string(budget, out.take());
}

Value format_braces(Runtime& runtime, std::string_view format, const Arguments& arguments) {
  BoundedString out(runtime.budget());
  FieldWriter writer(runtime, arguments);
  Reader reader(format);
  while (!reader.done()) {
    out.append(reader.until("{}"));
    const char brace = reader.next();
    if (brace == '\0') {
      break;
    }
    runtime.budget().step();
    if (reader.accept(brace)) {
      out.append(1, brace);
      continue;
    }
    if (brace == '}') {
      fault("single '}}' in a format string");
    }
    const std::string_view field = reader.until("{}");
    if (!reader.accept('}')) {
      fault("a '{{' in a format string is not closed, or holds another");
    }
    writer.append(out, field);
  }
  return make_string(runtime.budget(), out.take());
}

}  // namespace mm::jinja
