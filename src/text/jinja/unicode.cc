#include "text/jinja/unicode.h"

#include <string.h>  // memmem
#include <utf8proc.h>

namespace mm::jinja {
namespace {

constexpr int32_t kReplacement = 0xFFFD;
constexpr int32_t kSharpS = 0xDF;

struct Unit {
  int32_t code_point;
  size_t size;
};

Unit decode(std::string_view text) {
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  if (bytes[0] < 0x80) {
    return {bytes[0], 1};
  }
  int32_t code_point = 0;
  const auto limit = static_cast<utf8proc_ssize_t>(text.size() < 4 ? text.size() : 4);
  const utf8proc_ssize_t size = utf8proc_iterate(bytes, limit, &code_point);
  if (size <= 0) {
    return {kReplacement, 1};
  }
  return {code_point, static_cast<size_t>(size)};
}

enum class Case { kUpper, kLower, kTitle };

void append_mapped(std::string& out, Unit unit, std::string_view bytes, Case to) {
  if (unit.code_point == kReplacement) {
    out += bytes;  // perhaps a stray byte: keep it
    return;
  }
  if (unit.code_point == kSharpS && to != Case::kLower) {
    out += to == Case::kUpper ? "SS" : "Ss";
    return;
  }
  const int32_t mapped = to == Case::kUpper   ? utf8proc_toupper(unit.code_point)
                         : to == Case::kLower ? utf8proc_tolower(unit.code_point)
                                              : utf8proc_totitle(unit.code_point);
  append_code_point(out, static_cast<uint32_t>(mapped));
}

std::string map_all(std::string_view text, Case to) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    const Unit unit = decode(text);
    append_mapped(out, unit, text.substr(0, unit.size), to);
    text.remove_prefix(unit.size);
  }
  return out;
}

bool in_set(int32_t code_point, std::string_view bytes, const std::string_view* set) {
  if (set == nullptr) {
    return is_space(code_point);
  }
  return set->find(bytes) != std::string_view::npos;
}

bool is_line_end(int32_t code_point) {
  switch (code_point) {
    case '\n':
    case '\r':
    case 0x0B:
    case 0x0C:
    case 0x1C:
    case 0x1D:
    case 0x1E:
    case 0x85:
    case 0x2028:
    case 0x2029:
      return true;
    default:
      return false;
  }
}

}  // namespace

size_t unit_size(std::string_view text) {
  return decode(text).size;
}

int32_t first_code_point(std::string_view text) {
  return decode(text).code_point;
}

size_t last_unit_size(std::string_view text) {
  for (size_t size = 2; size <= 4 && size <= text.size(); ++size) {
    if (decode(text.substr(text.size() - size)).size == size) {
      return size;
    }
  }
  return 1;
}

size_t count_code_points(std::string_view text) {
  size_t count = 0;
  for (; !text.empty(); ++count) {
    text.remove_prefix(decode(text).size);
  }
  return count;
}

size_t code_point_offset(std::string_view text, size_t index) {
  size_t at = 0;
  for (; index > 0 && at < text.size(); --index) {
    at += decode(text.substr(at)).size;
  }
  return at;
}

std::vector<size_t> code_point_offsets(std::string_view text) {
  std::vector<size_t> offsets;
  offsets.reserve(text.size() + 1);
  for (size_t at = 0; at < text.size(); at += decode(text.substr(at)).size) {
    offsets.push_back(at);
  }
  offsets.push_back(text.size());
  return offsets;
}

void append_code_point(std::string& text, uint32_t code_point) {
  utf8proc_uint8_t bytes[4];
  const bool valid = code_point <= 0x10FFFF && (code_point < 0xD800 || code_point > 0xDFFF);
  const auto encoded = static_cast<int32_t>(valid ? code_point : kReplacement);
  const utf8proc_ssize_t size = utf8proc_encode_char(encoded, bytes);
  text.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool is_space(int32_t code_point) {
  if (code_point < 0x80) {
    return (code_point >= 0x09 && code_point <= 0x0D) || (code_point >= 0x1C && code_point <= 0x20);
  }
  return code_point == 0x85 || code_point == 0xA0 || code_point == 0x1680 ||
         (code_point >= 0x2000 && code_point <= 0x200A) || code_point == 0x2028 ||
         code_point == 0x2029 || code_point == 0x202F || code_point == 0x205F ||
         code_point == 0x3000;
}

bool is_printable(int32_t code_point) {
  if (code_point == ' ') {
    return true;
  }
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS:
      return false;
    default:
      return true;
  }
}

bool is_letter(int32_t code_point) {
  switch (utf8proc_category(code_point)) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
      return true;
    default:
      return false;
  }
}

bool is_decimal_digit(int32_t code_point) {
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_ND;
}

bool is_upper(int32_t code_point) {
  const auto category = utf8proc_category(code_point);
  return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LT;
}

bool is_lower(int32_t code_point) {
  return utf8proc_category(code_point) == UTF8PROC_CATEGORY_LL;
}

std::string_view strip_left(std::string_view text, const std::string_view* set) {
  while (!text.empty()) {
    const Unit unit = decode(text);
    if (!in_set(unit.code_point, text.substr(0, unit.size), set)) {
      break;
    }
    text.remove_prefix(unit.size);
  }
  return text;
}

std::string_view strip_right(std::string_view text, const std::string_view* set) {
  while (!text.empty()) {
    const size_t size = last_unit_size(text);
    const std::string_view unit = text.substr(text.size() - size);
    if (!in_set(decode(unit).code_point, unit, set)) {
      break;
    }
    text.remove_suffix(size);
  }
  return text;
}

std::string to_upper(std::string_view text) {
  return map_all(text, Case::kUpper);
}

std::string to_lower(std::string_view text) {
  return map_all(text, Case::kLower);
}

std::string capitalize(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  const Unit first = decode(text);
  std::string out;
  append_mapped(out, first, text.substr(0, first.size), Case::kTitle);
  out += map_all(text.substr(first.size), Case::kLower);
  return out;
}

std::string title(std::string_view text) {
  std::string out;
  bool inside = false;
  while (!text.empty()) {
    const Unit unit = decode(text);
    append_mapped(out, unit, text.substr(0, unit.size), inside ? Case::kLower : Case::kTitle);
    inside = is_upper(unit.code_point) || is_lower(unit.code_point);
    text.remove_prefix(unit.size);
  }
  return out;
}

void for_each_line(std::string_view text, bool keep_ends,
                   const std::function<void(std::string_view)>& visit) {
  size_t start = 0;
  for (size_t at = 0; at < text.size();) {
    const Unit unit = decode(text.substr(at));
    if (!is_line_end(unit.code_point)) {
      at += unit.size;
      continue;
    }
    const bool pair = text.substr(at, 2) == "\r\n";
    const size_t end = at + (pair ? 2 : unit.size);
    visit(text.substr(start, (keep_ends ? end : at) - start));
    start = at = end;
  }
  if (start < text.size()) {
    visit(text.substr(start));
  }
}

size_t find_bytes(std::string_view text, std::string_view needle, size_t from) {
  if (from > text.size()) {
    return std::string_view::npos;
  }
  if (needle.empty()) {
    return from;
  }
  // memmem, because std::string_view::find takes quadratic time on repetitive text.
  const void* found = memmem(text.data() + from, text.size() - from, needle.data(), needle.size());
  if (found == nullptr) {
    return std::string_view::npos;
  }
  return static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

}  // namespace mm::jinja
