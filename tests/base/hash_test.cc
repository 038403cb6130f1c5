#include "base/hash.h"

#include <gtest/gtest.h>

#include <string>

namespace mm {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text.data(), text.size()));
}

// What `xxhsum -H2` prints: files stay checkable without this program.
TEST(HashTest, IsXxh3) {
  EXPECT_EQ(to_hex(hash128({})), "99aa06d3014798d86001c324468d497f");
  EXPECT_EQ(to_hex(hash128(bytes_of("minimax"))), "1cc10571b769dd7c610eeda8ed675866");
}

TEST(HashTest, PartsEqualTheWhole) {
  std::string text;
  for (int i = 0; i < 5000; ++i) text += static_cast<char>(i * 7 % 251);
  Hasher128 hasher;
  for (size_t begin = 0, size = 1; begin < text.size(); begin += size, size = size * 2 + 1) {
    size = std::min(size, text.size() - begin);
    hasher.update(bytes_of(std::string_view(text).substr(begin, size)));
  }
  EXPECT_EQ(hasher.digest(), hash128(bytes_of(text)));
}

TEST(HashTest, HexRoundTripsAndNothingElseParses) {
  const Hash128 hash{0x0123456789abcdefULL, 0x00000000000000ffULL};
  Hash128 parsed;
  ASSERT_TRUE(parse_hash128(to_hex(hash), &parsed));
  EXPECT_EQ(parsed, hash);
  const std::string good = to_hex(hash);
  for (const std::string& text :
       {std::string(), good.substr(1), good + "0", "0x" + good.substr(2), "-" + good.substr(1),
        " " + good.substr(1), "A" + good.substr(1), "g" + good.substr(1)}) {
    EXPECT_FALSE(parse_hash128(text, &parsed)) << text;
  }
}

}  // namespace
}  // namespace mm
