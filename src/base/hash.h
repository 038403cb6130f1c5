/// Checksums of bytes: XXH3 with 128 bits. They find damage, not forgery.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace mm {

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const Hash128&, const Hash128&) = default;
};

Hash128 hash128(std::span<const std::byte> bytes);

/// 32 lower-case hexadecimal digits, the high half first.
std::string to_hex(const Hash128& hash);
/// The inverse of to_hex. Returns false if `text` is anything else.
bool parse_hash128(std::string_view text, Hash128* hash);

/// The hash of bytes that come in parts: equal to hash128() of the whole.
class Hasher128 {
 public:
  Hasher128();
  ~Hasher128();
  Hasher128(const Hasher128&) = delete;
  Hasher128& operator=(const Hasher128&) = delete;

  void update(std::span<const std::byte> bytes);
  /// Of all bytes so far; more may follow.
  Hash128 digest() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace mm
