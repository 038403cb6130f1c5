#include "text/grammar/expression.h"

#include <algorithm>

namespace mm::grammar {

std::vector<CodeRange> complement(std::vector<CodeRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.first < b.first; });
  std::vector<CodeRange> rest;
  char32_t next = 0;
  for (const CodeRange& range : ranges) {
    if (range.first > next) {
      rest.push_back({next, range.first - 1});
    }
    next = std::max<char32_t>(next, range.last + 1);
  }
  if (next <= kLastCodePoint) {
    rest.push_back({next, kLastCodePoint});
  }
  return rest;
}

}  // namespace mm::grammar
