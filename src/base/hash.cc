#include "base/hash.h"

// The whole of xxHash is in its header; inlined, it needs no library at run time.
#define XXH_INLINE_ALL
#include <fmt/format.h>
#include <xxhash.h>

#include <charconv>

namespace mm {
namespace {

constexpr size_t kHalfDigits = 16;

Hash128 from_xxh(const XXH128_hash_t& hash) {
  return {hash.high64, hash.low64};
}

bool parse_half(std::string_view text, uint64_t* half) {
  for (const char c : text) {  // from_chars also takes upper case
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
      return false;
  }
  return std::from_chars(text.data(), text.data() + text.size(), *half, 16).ec == std::errc();
}

}  // namespace

Hash128 hash128(std::span<const std::byte> bytes) {
  return from_xxh(XXH3_128bits(bytes.data(), bytes.size()));
}

std::string to_hex(const Hash128& hash) {
  return fmt::format("{:016x}{:016x}", hash.high, hash.low);
}

bool parse_hash128(std::string_view text, Hash128* hash) {
  return text.size() == 2 * kHalfDigits && parse_half(text.substr(0, kHalfDigits), &hash->high) &&
         parse_half(text.substr(kHalfDigits), &hash->low);
}

struct Hasher128::State {
  XXH3_state_t xxh;
};

Hasher128::Hasher128() : state_(std::make_unique<State>()) {
  XXH3_128bits_reset(&state_->xxh);
}
Hasher128::~Hasher128() = default;

void Hasher128::update(std::span<const std::byte> bytes) {
  XXH3_128bits_update(&state_->xxh, bytes.data(), bytes.size());
}

Hash128 Hasher128::digest() const {
  return from_xxh(XXH3_128bits_digest(&state_->xxh));
}

}  // namespace mm
