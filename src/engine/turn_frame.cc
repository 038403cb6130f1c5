#include "engine/turn_frame.h"

#include <array>
#include <vector>

#include "base/error.h"

namespace mm {
namespace {

// Words that no template looks for.
constexpr std::array<const char*, 3> kMarks = {"mm-first-mark", "mm-second-mark", "mm-third-mark"};

/// Text cut at each mark, in order: marks + 1 parts.
std::vector<std::string> cut_at_marks(const std::string& text, size_t marks) {
  std::vector<std::string> parts;
  size_t begin = 0;
  for (size_t i = 0; i < marks; ++i) {
    const std::string mark = kMarks[i];
    const size_t at = text.find(mark, begin);
    if (at == std::string::npos || text.find(mark, at + 1) != std::string::npos) {
      raise(ErrorKind::kUnsupported,
            "the chat template does not give each message once and unchanged, so a prompt cannot "
            "grow at its end; use --raw");
    }
    parts.push_back(text.substr(begin, at - begin));
    begin = at + mark.size();
  }
  parts.push_back(text.substr(begin));
  return parts;
}

}  // namespace

TurnFrame find_turn_frame(const PromptBuilder& prompts) {
  const std::vector<std::string> one = cut_at_marks(prompts.render({{"user", kMarks[0]}}), 1);
  const std::vector<std::string> three = cut_at_marks(
      prompts.render({{"user", kMarks[0]}, {"assistant", kMarks[1]}, {"user", kMarks[2]}}), 3);
  return {.before = one[0], .after = one[1], .between = three[2]};
}

}  // namespace mm
