#include "text/stop.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "text/utf8.h"

namespace mm {

StopMatcher::StopMatcher(std::vector<std::string> stops) {
  patterns_.reserve(stops.size());
  for (std::string& stop : stops) {
    if (stop.empty())
      bad_input("stop string {} is empty: it would stop before the first character",
                patterns_.size());
    utf8::require_valid(stop, fmt::format("stop string {}", patterns_.size()));
    Pattern pattern{std::move(stop), {}, 0};
    pattern.fallback.assign(pattern.text.size() + 1, 0);
    for (size_t i = 1, border = 0; i < pattern.text.size(); ++i) {
      while (border > 0 && pattern.text[i] != pattern.text[border])
        border = pattern.fallback[border];
      if (pattern.text[i] == pattern.text[border])
        ++border;
      pattern.fallback[i + 1] = border;
    }
    patterns_.push_back(std::move(pattern));
  }
}

bool StopMatcher::advance(Pattern& pattern, char byte) {
  while (pattern.matched > 0 && pattern.text[pattern.matched] != byte)
    pattern.matched = pattern.fallback[pattern.matched];
  if (pattern.text[pattern.matched] == byte)
    ++pattern.matched;
  return pattern.matched == pattern.text.size();
}

std::optional<size_t> StopMatcher::advance_all(char byte) {
  std::optional<size_t> hit;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    if (!advance(patterns_[i], byte))
      continue;
    if (!hit || patterns_[i].text.size() > patterns_[*hit].text.size())
      hit = i;
  }
  return hit;
}

StopResult StopMatcher::push(std::string_view text) {
  if (stopped_)
    return {};
  if (patterns_.empty())
    return {std::string(text), std::nullopt};
  std::string pending = std::exchange(held_, {});
  const size_t already_seen = pending.size();
  pending += text;
  for (size_t i = already_seen; i < pending.size(); ++i) {
    stopped_ = advance_all(pending[i]);
    if (stopped_) {
      pending.resize(i + 1 - patterns_[*stopped_].text.size());
      return {std::move(pending), stopped_};
    }
  }
  size_t hold = 0;
  for (const Pattern& pattern : patterns_) hold = std::max(hold, pattern.matched);
  held_ = pending.substr(pending.size() - hold);
  pending.resize(pending.size() - hold);
  return {std::move(pending), std::nullopt};
}

std::string StopMatcher::flush() {
  if (stopped_)
    return {};
  for (Pattern& pattern : patterns_) pattern.matched = 0;
  return std::exchange(held_, {});
}

}  // namespace mm
