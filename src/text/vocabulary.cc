#include "text/vocabulary.h"

#include <bit>
#include <cstring>

#include "base/error.h"

namespace mm {
namespace {

/// GPT-2's table: printable Latin-1 stands for itself, the other 68 bytes follow from U+0100 on.
constexpr int kFirstMoved = 0x100;
constexpr int kMovedBytes = 68;

constexpr bool stands_for_itself(int byte) {
  return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
}

/// Byte by code point; -1 where the table has none.
constexpr std::array<int16_t, kFirstMoved + kMovedBytes> make_byte_table() {
  std::array<int16_t, kFirstMoved + kMovedBytes> table{};
  for (int16_t& entry : table) entry = -1;
  size_t moved = kFirstMoved;
  for (int byte = 0; byte < 256; ++byte) {
    const size_t code_point = stands_for_itself(byte) ? static_cast<size_t>(byte) : moved++;
    table[code_point] = static_cast<int16_t>(byte);
  }
  return table;
}
constexpr auto kByteTable = make_byte_table();

uint32_t hash_of(std::string_view bytes) {
  constexpr uint64_t kMultiplier = 0x9E3779B97F4A7C15u;  // 2^64 divided by the golden ratio
  uint64_t hash = bytes.size() * kMultiplier;
  size_t at = 0;
  for (; at + 8 <= bytes.size(); at += 8) {
    uint64_t word;
    std::memcpy(&word, bytes.data() + at, 8);
    hash = (hash ^ word) * kMultiplier;
    hash ^= hash >> 32;
  }
  uint64_t tail = 0;
  std::memcpy(&tail, bytes.data() + at, bytes.size() - at);
  hash = (hash ^ tail) * kMultiplier;
  hash = (hash ^ (hash >> 32)) * kMultiplier;
  return static_cast<uint32_t>(hash >> 32);
}

}  // namespace

bool append_name_bytes(std::string_view name, std::string& bytes) {
  const size_t before = bytes.size();
  for (size_t i = 0; i < name.size(); ++i) {
    unsigned code_point = static_cast<unsigned char>(name[i]);
    if (code_point >= 0x80) {
      // All of the table beyond ASCII takes two bytes: C2..C5, then one of 80..BF.
      const unsigned next = i + 1 < name.size() ? static_cast<unsigned char>(name[++i]) : 0;
      code_point =
          code_point < 0xE0 ? ((code_point & 0x1F) << 6) | (next & 0x3F) : kByteTable.size();
    }
    const int byte = code_point < kByteTable.size() ? kByteTable[code_point] : -1;
    if (byte < 0) {
      bytes.resize(before);
      return false;
    }
    bytes.push_back(static_cast<char>(byte));
  }
  return true;
}

void Vocabulary::reserve(size_t tokens, size_t bytes) {
  bytes_.reserve(bytes);
  spans_.reserve(tokens);
  grow(std::bit_ceil(tokens * 2 + 1));
}

bool Vocabulary::contains(int64_t id) const {
  return id >= 0 && id < size() && spans_[static_cast<size_t>(id)].length != kAbsent;
}

std::string_view Vocabulary::piece(int64_t id) const {
  if (!contains(id))
    return {};
  const Span span = spans_[static_cast<size_t>(id)];
  return std::string_view(bytes_).substr(span.offset, span.length);
}

void Vocabulary::place(int64_t id, std::string_view bytes, std::string_view source) {
  if (id < 0 || id >= kMaxTokenIds)
    bad_input("{}: token \"{}\" has id {}, expected 0 to {}", source, bytes, id, kMaxTokenIds - 1);
  if (contains(id))
    bad_input("{}: id {} is given to both \"{}\" and \"{}\"", source, id, piece(id), bytes);
  if (bytes_.size() + bytes.size() >= kAbsent)
    raise(ErrorKind::kTooLarge, "{}: the tokens take more than 4 GiB", source);
  const auto index = static_cast<size_t>(id);
  if (index >= spans_.size())
    spans_.resize(index + 1);
  spans_[index] = {static_cast<uint32_t>(bytes_.size()), static_cast<uint32_t>(bytes.size())};
  bytes_ += bytes;
}

void Vocabulary::add_literal(std::string_view bytes, int64_t id, std::string_view source) {
  place(id, bytes, source);
}

void Vocabulary::add(std::string_view name, int64_t id, std::string_view source) {
  std::string bytes;
  if (!append_name_bytes(name, bytes)) {
    place(id, name, source);
    if (!other_names_.emplace(name, static_cast<int32_t>(id)).second)
      bad_input("{}: token \"{}\" is listed twice", source, name);
    return;
  }
  if ((used_slots_ + 1) * 2 > slots_.size())
    grow(std::max<size_t>(slots_.size() * 2, 16));
  const uint32_t hash = hash_of(bytes);
  const size_t slot = find_slot(bytes, hash);
  if (slots_[slot].id >= 0)
    bad_input("{}: token \"{}\" is listed twice, with ids {} and {}", source, name, slots_[slot].id,
              id);
  place(id, bytes, source);
  slots_[slot] = {hash, static_cast<int32_t>(id)};
  ++used_slots_;
}

/// The slot that holds these bytes, or the free one where they belong.
size_t Vocabulary::find_slot(std::string_view bytes, uint32_t hash) const {
  const size_t mask = slots_.size() - 1;
  size_t slot = hash & mask;
  while (slots_[slot].id >= 0 && (slots_[slot].hash != hash || piece(slots_[slot].id) != bytes))
    slot = (slot + 1) & mask;
  return slot;
}

void Vocabulary::grow(size_t slots) {
  if (slots <= slots_.size())
    return;
  std::vector<Slot> old(slots);
  old.swap(slots_);
  const size_t mask = slots_.size() - 1;
  for (const Slot& entry : old) {
    if (entry.id < 0)
      continue;
    size_t slot = entry.hash & mask;
    while (slots_[slot].id >= 0) slot = (slot + 1) & mask;
    slots_[slot] = entry;
  }
}

std::optional<int32_t> Vocabulary::find_bytes(std::string_view bytes) const {
  if (slots_.empty())
    return std::nullopt;
  const int32_t id = slots_[find_slot(bytes, hash_of(bytes))].id;
  return id >= 0 ? std::optional(id) : std::nullopt;
}

std::optional<int32_t> Vocabulary::find_name(std::string_view name) const {
  std::string bytes;
  if (append_name_bytes(name, bytes))
    return find_bytes(bytes);
  const auto found = other_names_.find(std::string(name));
  return found == other_names_.end() ? std::nullopt : std::optional(found->second);
}

std::array<int32_t, 256> Vocabulary::byte_ids(std::string_view source) const {
  std::array<int32_t, 256> ids{};
  for (size_t byte = 0; byte < ids.size(); ++byte) {
    const char symbol = static_cast<char>(byte);
    const auto id = find_bytes(std::string_view(&symbol, 1));
    if (!id)
      bad_input(
          "{}: the vocabulary has no token for byte 0x{:02X}; a byte-level vocabulary needs "
          "all 256",
          source, byte);
    ids[byte] = *id;
  }
  return ids;
}

}  // namespace mm
