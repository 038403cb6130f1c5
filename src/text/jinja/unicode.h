/// Code points of UTF-8 text, as Python's str sees them.
///
/// A byte that is no part of valid UTF-8 counts as one code point of its own and is kept.
/// Case mapping is one to one, but for ß; Python's few other one-to-many mappings are not done.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mm::jinja {

/// Bytes of the first code point of a non-empty text: 1 to 4.
size_t unit_size(std::string_view text);
/// The first code point of a non-empty text; a stray byte gives U+FFFD.
int32_t first_code_point(std::string_view text);
/// Bytes of the last code point of a non-empty text.
size_t last_unit_size(std::string_view text);
/// Number of code points.
size_t count_code_points(std::string_view text);
/// Byte offset of code point `index`, at most the size.
size_t code_point_offset(std::string_view text, size_t index);
/// Byte offset of every code point, and the size at the end.
std::vector<size_t> code_point_offsets(std::string_view text);
/// Appends a code point as UTF-8; a surrogate or one over U+10FFFF becomes U+FFFD.
void append_code_point(std::string& text, uint32_t code_point);

/// str.isspace() of one code point.
bool is_space(int32_t code_point);
/// Whether repr() shows the code point as it is.
bool is_printable(int32_t code_point);
/// Letters, and letters with case.
bool is_letter(int32_t code_point);
bool is_decimal_digit(int32_t code_point);
bool is_upper(int32_t code_point);
bool is_lower(int32_t code_point);

/// Without the code points of `set` (white space when null) at the start, at the end.
std::string_view strip_left(std::string_view text, const std::string_view* set = nullptr);
std::string_view strip_right(std::string_view text, const std::string_view* set = nullptr);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
/// First code point upper, the others lower.
std::string capitalize(std::string_view text);
/// str.title(): every letter after a non-letter is upper, the others lower.
std::string title(std::string_view text);

/// str.splitlines(): calls `visit` with each line, with its end when `keep_ends`.
void for_each_line(std::string_view text, bool keep_ends,
                   const std::function<void(std::string_view)>& visit);

/// Where `needle` starts in `text` at or after `from`, in bytes, or npos; time is linear.
size_t find_bytes(std::string_view text, std::string_view needle, size_t from = 0);

}  // namespace mm::jinja
