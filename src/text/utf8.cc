#include "text/utf8.h"

#include <cstring>

#include "base/error.h"

namespace mm::utf8 {
namespace {

/// What the bytes at one place are: a whole character, a cut-off one, or neither.
struct Step {
  int length;  ///< bytes of the character, or of the maximal subpart when not valid
  bool valid;
  bool cut_off;  ///< the text ends inside a character that is fine so far
};

/// Allowed values of the second byte (Unicode 15, table 3-7); later ones are always 80..BF.
struct Lead {
  int length;
  unsigned char low;
  unsigned char high;
};

Lead classify(unsigned char byte) {
  if (byte < 0x80)
    return {1, 0, 0};
  if (byte < 0xC2)
    return {0, 0, 0};
  if (byte < 0xE0)
    return {2, 0x80, 0xBF};
  if (byte < 0xF0)
    return {3, static_cast<unsigned char>(byte == 0xE0 ? 0xA0 : 0x80),
            static_cast<unsigned char>(byte == 0xED ? 0x9F : 0xBF)};
  if (byte < 0xF5)
    return {4, static_cast<unsigned char>(byte == 0xF0 ? 0x90 : 0x80),
            static_cast<unsigned char>(byte == 0xF4 ? 0x8F : 0xBF)};
  return {0, 0, 0};
}

Step step(std::string_view text, size_t at) {
  const Lead lead = classify(static_cast<unsigned char>(text[at]));
  if (lead.length <= 1)
    return {1, lead.length == 1, false};
  for (int i = 1; i < lead.length; ++i) {
    if (at + static_cast<size_t>(i) >= text.size())
      return {i, false, true};
    const auto byte = static_cast<unsigned char>(text[at + static_cast<size_t>(i)]);
    const bool fits = i == 1 ? byte >= lead.low && byte <= lead.high : (byte & 0xC0) == 0x80;
    if (!fits)
      return {i, false, false};
  }
  return {lead.length, true, false};
}

/// Offset of the first byte over 0x7F at or after `at`.
size_t skip_ascii(std::string_view text, size_t at) {
  constexpr uint64_t kHighBits = 0x8080808080808080u;
  while (at + 8 <= text.size()) {
    uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if ((word & kHighBits) != 0)
      break;
    at += 8;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

}  // namespace

size_t find_invalid(std::string_view text) {
  for (size_t at = skip_ascii(text, 0); at < text.size(); at = skip_ascii(text, at)) {
    const Step next = step(text, at);
    if (!next.valid)
      return at;
    at += static_cast<size_t>(next.length);
  }
  return std::string_view::npos;
}

void require_valid(std::string_view text, std::string_view what) {
  const size_t at = find_invalid(text);
  if (at == std::string_view::npos)
    return;
  bad_input("{}: not valid UTF-8 at byte {} (0x{:02X}); convert it to UTF-8 first", what, at,
            static_cast<unsigned>(static_cast<unsigned char>(text[at])));
}

size_t complete_prefix(std::string_view text) {
  // A lead byte is at most three bytes before the end of what it leaves incomplete.
  for (size_t back = 1; back <= 3 && back <= text.size(); ++back) {
    const size_t at = text.size() - back;
    if ((static_cast<unsigned char>(text[at]) & 0xC0) == 0x80)
      continue;
    return step(text, at).cut_off ? at : text.size();
  }
  return text.size();
}

std::string replace_invalid(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size();) {
    const size_t ascii_end = skip_ascii(text, at);
    out.append(text, at, ascii_end - at);
    at = ascii_end;
    if (at == text.size())
      break;
    const Step next = step(text, at);
    if (next.valid)
      out.append(text, at, static_cast<size_t>(next.length));
    else
      out += kReplacement;
    at += static_cast<size_t>(next.length);
  }
  return out;
}

bool is_ascii(std::string_view text) {
  return skip_ascii(text, 0) == text.size();
}

Decoded decode_first(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  if (lead < 0x80)
    return {lead, 1};
  const int length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code_point = lead & (0xFFu >> (length + 1));
  for (int i = 1; i < length; ++i)
    code_point =
        (code_point << 6) | (static_cast<unsigned char>(text[static_cast<size_t>(i)]) & 0x3Fu);
  return {code_point, length};
}

Decoded decode_last(std::string_view text) {
  size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return decode_first(text.substr(at));
}

void append(char32_t code_point, std::string& out) {
  const auto put = [&out](char32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (code_point < 0x80) {
    put(code_point);
  } else if (code_point < 0x800) {
    put(0xC0 | (code_point >> 6));
    put(0x80 | (code_point & 0x3F));
  } else if (code_point < 0x10000) {
    put(0xE0 | (code_point >> 12));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  } else {
    put(0xF0 | (code_point >> 18));
    put(0x80 | ((code_point >> 12) & 0x3F));
    put(0x80 | ((code_point >> 6) & 0x3F));
    put(0x80 | (code_point & 0x3F));
  }
}

}  // namespace mm::utf8
