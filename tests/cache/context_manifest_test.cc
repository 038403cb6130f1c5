#include "cache/context_manifest.h"

#include "tests/cache/context_fixture.h"

namespace mm {
namespace {

ContextManifest example() {
  ContextManifest manifest;
  manifest.binding = small_context(DType::kI8).binding;
  manifest.backend = "cpu";
  manifest.codec = drop_fast_heads(StateFormat::kInt8, 64,
                                   std::vector<std::vector<float>>{{1, 0, 0}, {}, {0, 1}, {}});
  manifest.next_segment = 8;
  manifest.segments = {{segment_file_name(3), 0, 128, true, 1000, {1, 2}, {3, 4}},
                       {segment_file_name(7), 128, 192, false, 2000, {5, 6}, {7, 8}}};
  manifest.tail = {5, 6, 7};
  manifest.metadata = {{"title", "x"}};
  return manifest;
}

/// The text of the example without seal, `from` replaced by `to` in it, sealed again.
std::string edited(const std::string& from, const std::string& to) {
  std::string text = dump_context_manifest(example());
  text.erase(text.rfind(",\"checksum\""));
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return seal_manifest(text.replace(at, from.size(), to));
}

TEST(ContextManifestTest, RoundTrips) {
  const std::string text = dump_context_manifest(example());
  const ContextManifest manifest = parse_context_manifest(text, "m");
  EXPECT_EQ(dump_context_manifest(manifest), text);
  EXPECT_EQ(manifest.token_count(), 195);
  EXPECT_EQ(manifest.bytes(), 3000);
  EXPECT_EQ(manifest.segments[1].checksum, (Hash128{5, 6}));
  EXPECT_EQ(manifest.codec, example().codec);
}

TEST(ContextManifestTest, EveryContradictionIsNamed) {
  const struct {
    const char* from;
    const char* to;
    const char* error;
  } cases[] = {
      {"\"minimax-context\"", "\"other\"", "m: format is \"other\""},
      {"\"model_hash\":\"model-1\",", "", "m: model_hash is missing"},
      {"\"fingerprint\":\"f32\"", "\"fingerprint\":1", "m: fingerprint: expected a string"},
      {"\"lightning\"", "\"linear\"", "layer 0: kind is \"linear\""},
      {"\"heads\":3", "\"heads\":0", "layer 0: heads is 0, expected 1 to"},
      {"\"head_size\":8", "\"head_size\":65537", "head_size is 65537"},
      {"\"replay_tokens\":64", "\"replay_tokens\":-1", "replay_tokens is -1"},
      {"[1,2]", "[2,1]", "those of layer 0 do not ascend"},
      {"[1,2]", "[1,3]", "kept_heads is 3, expected 0 to 2"},
      {"[1,2],[],", "[1,2],[0],", "layer 1 has no state"},
      {"[1,2],[],", "[1,2],", "kept_heads"},
      {"\"begin\":128", "\"begin\":64", "segment 1: begin is 64, expected 128 to 128"},
      {"\"end\":192", "\"end\":191", "segment 1: end is 191"},
      {"\"end\":192", "\"end\":193", "expected a multiple of 64"},
      {"\"bytes\":2000", "\"bytes\":0", "bytes is 0"},
      {"segment-000007", "segment-000008", "with a number below 8"},
      {"segment-000007", "../../segment-7", "segment 1: file is"},
      {"segment-000007", "segment-000003", "listed twice"},
      {"segment-000007.safetensors", "", "segment 1: file is \"\""},
      {"\"has_state\":true", "\"has_state\":1", "has_state: expected a boolean"},
      {"\"xxh3_128\":\"00", "\"xxh3_128\":\"0", "32 hexadecimal digits"},
      {"\"tail\":[5,", "\"tail\":[-5,", "m: tail is -5"},
      {"\"token_count\":195", "\"token_count\":196", "token_count is 196, expected 195 to 195"},
      {"\"title\":\"x\"", "\"title\":1", "m: metadata: title"},
  };
  for (const auto& one : cases)
    expect_error(ErrorKind::kBadInput, one.error,
                 [&] { parse_context_manifest(edited(one.from, one.to), "m"); });
  for (const auto& one : {std::pair{"\"kv_dtype\":\"I8\"", "\"kv_dtype\":\"I3\""},
                          std::pair{"\"format\":\"int8\"", "\"format\":\"int2\""},
                          std::pair{"\"version\":1", "\"version\":3"}})
    expect_error(ErrorKind::kUnsupported,
                 "m: ", [&] { parse_context_manifest(edited(one.first, one.second), "m"); });
}

TEST(ContextManifestTest, ALongTailIsNoTail) {
  ContextManifest manifest = example();
  manifest.tail.resize(64);
  expect_error(ErrorKind::kBadInput, "tail has 64 ids, expected fewer than 64",
               [&] { parse_context_manifest(dump_context_manifest(manifest), "m"); });
}

TEST(ContextManifestTest, TheSealCoversEveryByte) {
  const std::string text = dump_context_manifest(example());
  for (size_t i = 0; i < text.size(); ++i) {
    std::string bad = text;
    bad[i] ^= 1;
    EXPECT_THROW(parse_context_manifest(bad, "m"), Error) << i;
  }
  for (const std::string& bad : {std::string(), text.substr(1), text + " ", text.substr(0, 40)})
    expect_error(ErrorKind::kBadInput, "m: damaged", [&] { parse_context_manifest(bad, "m"); });
}

}  // namespace
}  // namespace mm
