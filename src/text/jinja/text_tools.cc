#include "text/jinja/text_tools.h"

#include <algorithm>

#include "text/jinja/unicode.h"

namespace mm::jinja {

Value strip(Budget& budget, const Value& text, const std::string* set, StripSide side) {
  std::string_view rest = text.text();
  // In the worst case every code point is looked for in the whole set.
  const size_t set_size = set == nullptr ? 1 : set->size();
  budget.step(static_cast<int64_t>(rest.size() * set_size / 1024 + 1));
  std::string_view view;
  if (set != nullptr) {
    view = *set;
  }
  const std::string_view* chars = set == nullptr ? nullptr : &view;
  if (side != StripSide::kRight) {
    rest = strip_left(rest, chars);
  }
  if (side != StripSide::kLeft) {
    rest = strip_right(rest, chars);
  }
  if (rest.size() == text.text().size()) {
    return text;
  }
  return make_string(budget, std::string(rest));
}

Value replace(Budget& budget, std::string_view text, std::string_view from, std::string_view to,
              int64_t count) {
  budget.scan(text.size());
  BoundedString out(budget);
  size_t at = 0;
  for (; count != 0; --count) {
    budget.step();
    size_t found = find_bytes(text, from, at);
    if (from.empty()) {
      // Python puts `to` before every code point and at the end.
      out.append(to);
      if (at >= text.size()) {
        break;
      }
      found = at + unit_size(text.substr(at));
      out.append(text.substr(at, found - at));
      at = found;
      continue;
    }
    if (found == std::string_view::npos) {
      break;
    }
    out.append(text.substr(at, found - at));
    out.append(to);
    at = found + from.size();
  }
  out.append(text.substr(std::min(at, text.size())));
  return make_string(budget, out.take());
}

Value pad(Budget& budget, const Value& text, int64_t width, std::string_view fill, PadSide side) {
  const int64_t missing = width - length(budget, text);
  if (missing <= 0) {
    return text;
  }
  budget.check_string(static_cast<size_t>(missing));
  budget.step(missing);
  // Python's center() puts the odd one to the left when the width is odd.
  const int64_t before = side == PadSide::kLeft    ? missing
                         : side == PadSide::kRight ? 0
                                                   : missing / 2 + (missing & width & 1);
  BoundedString out(budget);
  for (int64_t i = 0; i < before; ++i) {
    out.append(fill);
  }
  out.append(text.text());
  for (int64_t i = before; i < missing; ++i) {
    out.append(fill);
  }
  return make_string(budget, out.take());
}

}  // namespace mm::jinja
