/// Encoding takes time linear in the text, whatever it holds.
#include <gtest/gtest.h>
#include <time.h>

#include "tests/text/tiny_tokenizer.h"
#include "text/tokenizer.h"

namespace mm {
namespace {

/// Processor time, so that a busy machine does not count.
double seconds_of(const Tokenizer& tokenizer, const std::string& text) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  const auto ids = tokenizer.encode(text);
  const double seconds = now() - start;
  EXPECT_EQ(tokenizer.decode(ids, {.skip_special = false}), text);
  return seconds;
}

std::string repeated(std::string_view unit, size_t bytes) {
  std::string text;
  while (text.size() < bytes) text += unit;
  return text;
}

/// Four times the text may take at most twelve times as long (a quadratic step takes sixteen), and
/// a megabyte at most five seconds, sanitizers included. A first round warms up.
void expect_linear(const Tokenizer& tokenizer, std::string_view unit, std::string_view end) {
  constexpr size_t kMegabyte = 1 << 20;
  const auto measure = [&](size_t bytes) {
    return seconds_of(tokenizer, repeated(unit, bytes) + std::string(end));
  };
  measure(kMegabyte / 16);
  const double quarter = measure(kMegabyte / 4);
  const double whole = measure(kMegabyte);
  constexpr double kTimerNoise = 0.01;
  EXPECT_LT(whole, 12 * quarter + kTimerNoise) << unit << end;
  EXPECT_LT(whole, 5.0) << unit << end;
}

const std::vector<std::string>& units() {
  static const std::vector<std::string> kUnits = {"a",
                                                  " ",
                                                  "7",
                                                  "\n",
                                                  "\r\n",
                                                  "A",
                                                  "Aa",
                                                  "!",
                                                  "/",
                                                  "\t ",
                                                  "'s",
                                                  "\u00E9",
                                                  "\u0301",
                                                  "\u4E2D",
                                                  "\U0001F642",
                                                  "<",
                                                  "<end_of_sentence>",
                                                  "xyz0",
                                                  "\u3000",
                                                  "a'",
                                                  " \n",
                                                  "\u0301\u0323"};
  return kUnits;
}

TEST(TokenizerLinear, BundledPattern) {
  const Tokenizer tokenizer = Tokenizer::load(std::string(MM_SOURCE_DIR) + "/models/mini");
  for (const std::string& unit : units()) expect_linear(tokenizer, unit, "x");
  for (const char* unit : {"a", " ", "7", "\n"}) expect_linear(tokenizer, unit, "");
}

TEST(TokenizerLinear, Gpt2Pattern) {
  const Tokenizer tokenizer = Tokenizer::from_json(
      testing::tiny_tokenizer({{"a", "a"}, {"aa", "aa"}, {" ", " "}}).dump(), "", "test");
  for (const std::string& unit : units()) expect_linear(tokenizer, unit, "x");
}

/// Long runs of marks of falling class are the worst case of canonical ordering.
TEST(TokenizerLinear, Normalizing) {
  Json json = testing::tiny_tokenizer({});
  json["normalizer"] = {{"type", "NFC"}};
  const Tokenizer tokenizer = Tokenizer::from_json(json.dump(), "", "test");
  const std::string text = repeated("\u0301", 1 << 19) + repeated("\u0323", 1 << 19);
  timespec before{};
  timespec after{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &before);
  EXPECT_EQ(tokenizer.encode(text).size(), text.size());
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &after);
  EXPECT_LT(after.tv_sec - before.tv_sec, 5);
}

}  // namespace
}  // namespace mm
