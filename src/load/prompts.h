/// What is asked: texts of random words, or the prompts of a file.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "load/words.h"

namespace mm {

struct LoadPrompt {
  std::string text;           ///< empty when there are messages
  std::string messages;       ///< of a chat, as JSON; empty: `text` is what the user says
  int64_t tokens = 0;         ///< of the text, as far as we know; 0: not known
  int64_t output_tokens = 0;  ///< wanted of the answer
};

struct RandomPromptOptions {
  int64_t input_tokens = 512;
  int64_t output_tokens = 128;
  /// Lengths are drawn evenly from (1 - range_ratio) to (1 + range_ratio) times those above.
  double range_ratio = 0;
  int64_t shared_tokens = 0;  ///< stand before the input tokens, the same for all of a group
  int64_t groups = 1;         ///< request i belongs to group i mod `groups`
  uint64_t seed = 0;
};

/// Prompt number `index` ≥ 0. It depends on nothing but the arguments, so that the same prompts can
/// be asked again.
LoadPrompt make_random_prompt(const RandomPromptOptions& options, const Words& words,
                              int64_t index);

/// The prompts of a file: one a line, empty ones left out. When the first line begins with "{",
/// each is a JSON object with "prompt" (a text) or "messages" (a list, as in chats), and perhaps
/// "output_tokens"; without it, and in plain lines, `output_tokens` are wanted. Throws kBadInput,
/// naming `source` and the line, for what is none, and when there is no prompt at all.
std::vector<LoadPrompt> parse_prompts(std::string_view text, const std::string& source,
                                      int64_t output_tokens);

}  // namespace mm
