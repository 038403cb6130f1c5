#include "text/characters.h"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <vector>

#include "base/check.h"
#include "text/utf8.h"

namespace mm {
namespace {

/// The longest decomposition of one character, that of U+FDFA; Unicode promises no longer ones.
constexpr size_t kLongestDecomposition = 18;

int combining_class(utf8proc_int32_t code_point) {
  return utf8proc_get_property(code_point)->combining_class;
}

void append_decomposed(utf8proc_int32_t code_point, utf8proc_option_t options,
                       std::vector<utf8proc_int32_t>& out) {
  std::array<utf8proc_int32_t, kLongestDecomposition> parts;
  int boundary = 0;
  const auto length = utf8proc_decompose_char(
      code_point, parts.data(), static_cast<utf8proc_ssize_t>(parts.size()), options, &boundary);
  MM_CHECK(length > 0 && length <= static_cast<utf8proc_ssize_t>(parts.size()),
           "U+{:04X} decomposes into {}", static_cast<unsigned>(code_point), length);
  out.insert(out.end(), parts.begin(), parts.begin() + length);
}

/// Canonical ordering: each run of marks is sorted by class, equals kept in order.
void order_marks(std::vector<utf8proc_int32_t>& code_points) {
  const auto is_starter = [](utf8proc_int32_t c) { return combining_class(c) == 0; };
  for (auto begin = code_points.begin(); begin != code_points.end();) {
    begin = std::find_if_not(begin, code_points.end(), is_starter);
    const auto end = std::find_if(begin, code_points.end(), is_starter);
    std::stable_sort(begin, end, [](utf8proc_int32_t a, utf8proc_int32_t b) {
      return combining_class(a) < combining_class(b);
    });
    begin = end;
  }
}

bool composes(NormalForm form) {
  return form == NormalForm::kNfc || form == NormalForm::kNfkc;
}

bool is_compatible(NormalForm form) {
  return form == NormalForm::kNfkc || form == NormalForm::kNfkd;
}

struct Range {
  char32_t first;
  char32_t last;
};

/// Alphabetic symbols (Other_Alphabetic of category So).
constexpr std::array<Range, 4> kAlphabeticSymbols = {
    {{0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}}};

}  // namespace

bool is_white_space(char32_t c) {
  return (c >= 0x9 && c <= 0xD) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

bool is_word_character(char32_t c) {
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO:
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME:
    case UTF8PROC_CATEGORY_ND:
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_PC:
      return true;
    default:
      break;
  }
  const bool joiner = c == 0x200C || c == 0x200D;
  return joiner || std::any_of(kAlphabeticSymbols.begin(), kAlphabeticSymbols.end(),
                               [c](const Range& r) { return c >= r.first && c <= r.last; });
}

std::string normalize(std::string_view text, NormalForm form) {
  if (utf8::is_ascii(text))
    return std::string(text);
  int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE;
  options |= is_compatible(form) ? UTF8PROC_COMPAT : 0;
  std::vector<utf8proc_int32_t> code_points;
  code_points.reserve(text.size());
  while (!text.empty()) {
    const auto next = utf8::decode_first(text);
    append_decomposed(static_cast<utf8proc_int32_t>(next.code_point),
                      static_cast<utf8proc_option_t>(options), code_points);
    text.remove_prefix(static_cast<size_t>(next.length));
  }
  order_marks(code_points);
  if (composes(form)) {
    const auto length = utf8proc_normalize_utf32(
        code_points.data(), static_cast<utf8proc_ssize_t>(code_points.size()),
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    MM_CHECK(length >= 0, "utf8proc refuses to compose");
    code_points.resize(static_cast<size_t>(length));
  }
  std::string out;
  out.reserve(code_points.size());
  for (const utf8proc_int32_t code_point : code_points)
    utf8::append(static_cast<char32_t>(code_point), out);
  return out;
}

}  // namespace mm
