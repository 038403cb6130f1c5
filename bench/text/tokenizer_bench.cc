/// Speed of Tokenizer::load and Tokenizer::encode on a text file, one thread.
///
///   mm_tokenizer_bench FOLDER FILE [REPETITIONS]
///
/// Prints each repetition and the median, beside the speed of the pre-tokenizer alone, which is
/// what no encoder with the same pattern can pass. Checks that decoding gives the text back.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/tokenizer.h"
#include "text/utf8.h"

namespace {

/// Processor time of this thread: other work on the machine does not count.
double seconds_of(const std::function<void()>& work) {
  const auto now = [] {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Words of the text by the pattern of GPT-4o, which the folder is expected to use.
size_t count_words(const mm::Pretokenizer& pretokenizer, std::string_view text) {
  size_t words = 0;
  mm::RegexScratch scratch(text.size());
  pretokenizer.split(text, scratch,
                     [&](const mm::WordBatch& batch) { words += batch.words.size(); });
  return words;
}

void measure(const std::string& folder, const std::string& path, int repetitions) {
  std::vector<double> load_ms;
  for (int i = 0; i < repetitions; ++i)
    load_ms.push_back(1e3 * seconds_of([&] { mm::Tokenizer::load(folder); }));
  const mm::Tokenizer tokenizer = mm::Tokenizer::load(folder);
  std::printf("load: median %.1f ms of %d\n", median(load_ms), repetitions);

  const mm::MappedFile file(path);
  // A file cut at a byte count may end inside a character.
  const std::string_view text = file.text().substr(0, mm::utf8::complete_prefix(file.text()));
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  mm::PretokenizerConfig config;
  config.splits.push_back({.pattern = std::string(mm::kO200kPattern)});
  const mm::Pretokenizer pretokenizer(config, "bench");
  std::vector<double> encode_speed;
  std::vector<double> split_speed;
  std::vector<double> ratio;
  std::vector<int32_t> ids;
  size_t words = 0;
  for (int i = 0; i < repetitions; ++i) {
    split_speed.push_back(megabytes / seconds_of([&] { words = count_words(pretokenizer, text); }));
    encode_speed.push_back(megabytes / seconds_of([&] { ids = tokenizer.encode(text); }));
    ratio.push_back(encode_speed.back() / split_speed.back());
    std::printf("encode %.1f MB/s, pre-tokenizer alone %.1f MB/s\n", encode_speed.back(),
                split_speed.back());
  }
  std::printf(
      "%.1f MB, %zu words, %zu ids: encode median %.1f MB/s, pre-tokenizer alone %.1f MB/s, "
      "ratio %.2f\n",
      megabytes, words, ids.size(), median(encode_speed), median(split_speed), median(ratio));
  const bool equal = tokenizer.decode(ids, {.skip_special = false}) == text;
  std::printf("round trip: %s\n", equal ? "equal" : "DIFFERENT");
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: %s FOLDER FILE [REPETITIONS]\n", argv[0]);
    return 2;
  }
  try {
    measure(argv[1], argv[2], argc > 3 ? std::max(1, std::atoi(argv[3])) : 5);
  } catch (const mm::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
