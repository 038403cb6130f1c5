/// The tokens of a byte-level vocabulary: id to bytes and back.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace mm {

/// Decodes a name as vocabulary files write it, where each of the 256 byte values is one printable
/// character (GPT-2's table: U+0120 is a space), and appends the bytes.
/// Returns false, with `bytes` unchanged, when the name has a character outside that table.
bool append_name_bytes(std::string_view name, std::string& bytes);

/// Largest number of ids a vocabulary may have: twenty times the largest in use.
inline constexpr int64_t kMaxTokenIds = int64_t{1} << 22;

/// Tokens by id and by their bytes. Built once by `add`, then immutable.
class Vocabulary {
 public:
  /// Makes room for about `tokens` tokens with `bytes` bytes of names in all.
  void reserve(size_t tokens, size_t bytes);

  /// Adds a token by its name in the file. A name outside the byte table stands for its own UTF-8
  /// and is never produced by encoding. Throws kBadInput, beginning with `source`, when the id is
  /// negative, over kMaxTokenIds or taken, or the name is there already.
  void add(std::string_view name, int64_t id, std::string_view source);

  /// Adds a token that stands for exactly these bytes; found by neither `find` function.
  void add_literal(std::string_view bytes, int64_t id, std::string_view source);

  /// One more than the largest id.
  int32_t size() const { return static_cast<int32_t>(spans_.size()); }
  /// Whether the id names a token; ids may have gaps.
  bool contains(int64_t id) const;
  /// Bytes of a token; empty for ids that name none.
  std::string_view piece(int64_t id) const;

  /// Id of the byte-table token with these bytes.
  std::optional<int32_t> find_bytes(std::string_view bytes) const;
  /// Id of the token with this name in the file.
  std::optional<int32_t> find_name(std::string_view name) const;

  /// Ids of the 256 single bytes. Throws kBadInput naming the first byte that has no token.
  std::array<int32_t, 256> byte_ids(std::string_view source) const;

 private:
  struct Span {
    uint32_t offset = 0;
    uint32_t length = kAbsent;
  };
  struct Slot {
    uint32_t hash = 0;
    int32_t id = -1;
  };
  static constexpr uint32_t kAbsent = 0xFFFFFFFFu;

  void place(int64_t id, std::string_view bytes, std::string_view source);
  size_t find_slot(std::string_view bytes, uint32_t hash) const;
  void grow(size_t slots);

  std::string bytes_;        ///< all pieces, one after the other
  std::vector<Span> spans_;  ///< by id
  std::vector<Slot> slots_;  ///< open addressing, a power of two, at most half full
  size_t used_slots_ = 0;
  std::unordered_map<std::string, int32_t> other_names_;  ///< names outside the byte table
};

}  // namespace mm
