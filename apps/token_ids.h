/// Token ids from files of several kinds.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace mm::cli {

/// Reads ids from a JSON array, an .npy file (i32 or i64, one axis) or a safetensors file (i32 or
/// i64; FILE:NAME chooses among several tensors). The kind is recognised by the content.
/// Throws kNotFound, kBadInput (with the position of an id out of i32's range), kUnsupported.
std::vector<int32_t> read_token_ids(const std::string& path);

/// Ids written as text: a JSON array, an object with "ids", or integers between spaces or commas.
std::vector<int32_t> parse_token_ids(std::string_view text, std::string_view source);

/// Throws kBadInput naming `source`, position and value unless all ids are in [0, vocab_size).
void check_token_ids(const std::vector<int32_t>& ids, int64_t vocab_size, std::string_view source);

}  // namespace mm::cli
