/// A small byte-level tokenizer.json for tests: 256 bytes, then one token per merge.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_value.h"
#include "text/utf8.h"
#include "text/vocabulary.h"

namespace mm::testing {

/// The name of a byte in vocabulary files, found by asking the decoder.
inline std::string byte_name(unsigned char byte) {
  for (char32_t code_point = 0x21; code_point < 0x180; ++code_point) {
    std::string name;
    utf8::append(code_point, name);
    std::string bytes;
    if (append_name_bytes(name, bytes) && bytes == std::string(1, static_cast<char>(byte)))
      return name;
  }
  return {};
}

/// The name of a token with these bytes.
inline std::string token_name(std::string_view bytes) {
  std::string name;
  for (const char byte : bytes) name += byte_name(static_cast<unsigned char>(byte));
  return name;
}

using Merges = std::vector<std::pair<std::string, std::string>>;  ///< left and right bytes

/// tokenizer.json with GPT-2's pattern; id of byte b is b, of merge i 256 + i.
inline Json tiny_tokenizer(const Merges& merges) {
  Json vocab = Json::object();
  for (int byte = 0; byte < 256; ++byte) vocab[byte_name(static_cast<unsigned char>(byte))] = byte;
  Json merge_list = Json::array();
  for (size_t i = 0; i < merges.size(); ++i) {
    const std::string left = token_name(merges[i].first);
    const std::string right = token_name(merges[i].second);
    vocab[left + right] = 256 + i;
    merge_list.push_back(left + " " + right);
  }
  Json root;
  root["added_tokens"] = Json::array();
  root["normalizer"] = nullptr;
  root["pre_tokenizer"] = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", true}};
  root["decoder"] = {{"type", "ByteLevel"}};
  root["model"] = {{"type", "BPE"}, {"vocab", vocab}, {"merges", merge_list}};
  return root;
}

/// An entry of "added_tokens" with all flags off but `special`.
inline Json added_token(int id, std::string_view content) {
  return {{"id", id},
          {"content", std::string(content)},
          {"single_word", false},
          {"lstrip", false},
          {"rstrip", false},
          {"normalized", false},
          {"special", true}};
}

}  // namespace mm::testing
