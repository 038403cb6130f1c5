#include "load/prompts.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/json.h"
#include "base/rng.h"
#include "load/random_streams.h"

namespace mm {

namespace {

/// A whole number from `low` to `high`, each as likely.
int64_t draw(int64_t low, int64_t high, uint64_t seed, uint64_t stream, uint64_t counter) {
  const auto count = static_cast<double>(high - low + 1);
  return low + static_cast<int64_t>(philox_uniform(seed, stream, counter) * count);
}

int64_t draw_length(int64_t length, double ratio, uint64_t seed, uint64_t counter) {
  const auto spread = static_cast<int64_t>(std::floor(static_cast<double>(length) * ratio));
  return std::max<int64_t>(1, draw(length - spread, length + spread, seed, kLengthStream, counter));
}

void add_words(std::string& text, int64_t count, const Words& words, uint64_t seed,
               uint64_t stream) {
  const auto last = static_cast<int64_t>(words.words.size()) - 1;
  for (int64_t i = 0; i < count; ++i) {
    text += ' ';
    text += words.words[static_cast<size_t>(draw(0, last, seed, stream, static_cast<uint64_t>(i)))];
  }
}

LoadPrompt parse_json_line(std::string_view line, const std::string& where, int64_t output_tokens) {
  const JsonDocument document = JsonDocument::parse(line, where);
  const JsonView root = document.root();
  const std::optional<JsonView> prompt = root.find("prompt");
  const std::optional<JsonView> messages = root.find("messages");
  if (prompt.has_value() == messages.has_value()) {
    bad_input("{}: expected an object with either \"prompt\" or \"messages\"", where);
  }
  LoadPrompt result;
  if (prompt) {
    result.text = prompt->as_string(where + ": prompt");
  } else {
    messages->elements(where + ": messages");
    result.messages = messages->dump();
  }
  const std::optional<JsonView> length = root.find("output_tokens");
  result.output_tokens = length ? length->as_int(where + ": output_tokens") : output_tokens;
  if (result.output_tokens < 1) {
    bad_input("{}: output_tokens {}, expected at least 1", where, result.output_tokens);
  }
  return result;
}

}  // namespace

LoadPrompt make_random_prompt(const RandomPromptOptions& options, const Words& words,
                              int64_t index) {
  const auto number = static_cast<uint64_t>(index);
  LoadPrompt prompt;
  prompt.text = kOpener;
  prompt.tokens = options.shared_tokens +
                  draw_length(options.input_tokens, options.range_ratio, options.seed, 2 * number);
  prompt.output_tokens =
      draw_length(options.output_tokens, options.range_ratio, options.seed, 2 * number + 1);
  // The opener is the first token of the prefix, or of the input when there is none.
  const int64_t shared_words = std::max<int64_t>(0, options.shared_tokens - 1);
  const auto group = static_cast<uint64_t>(index % options.groups);
  add_words(prompt.text, shared_words, words, options.seed, kPrefixStream + group);
  add_words(prompt.text, prompt.tokens - 1 - shared_words, words, options.seed,
            kPromptStream + number);
  return prompt;
}

std::vector<LoadPrompt> parse_prompts(std::string_view text, const std::string& source,
                                      int64_t output_tokens) {
  std::vector<LoadPrompt> prompts;
  std::optional<bool> is_json;
  for (int64_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!line.empty() && line.back() == '\r') {
      line.remove_suffix(1);
    }
    if (line.empty()) {
      continue;
    }
    if (!is_json) {
      is_json = line.front() == '{';
    }
    if (*is_json) {
      prompts.push_back(parse_json_line(line, fmt::format("{}:{}", source, number), output_tokens));
    } else {
      LoadPrompt prompt;
      prompt.text = line;
      prompt.output_tokens = output_tokens;
      prompts.push_back(std::move(prompt));
    }
  }
  if (prompts.empty()) {
    bad_input("{}: no prompt, expected one a line", source);
  }
  return prompts;
}

}  // namespace mm
