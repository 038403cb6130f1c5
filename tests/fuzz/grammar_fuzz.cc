// Any text as a grammar or, if its first byte is odd, as a JSON schema: it compiles or is refused,
// and from every place that a walk comes to, another byte leads on or the text may end.
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "text/grammar/automaton.h"
#include "text/grammar/grammar_text.h"
#include "text/grammar/json_schema.h"
#include "text/grammar/stack_sets.h"

namespace {

constexpr size_t kMaxSize = 4096;  // larger grammars only take longer
constexpr int kSteps = 64;

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Takes one of the bytes that can follow, by a generator that the input seeds.
void walk(const mm::grammar::Automaton& automaton, uint32_t seed) {
  mm::grammar::StackSets sets(automaton);
  int32_t place = sets.start();
  for (int step = 0; step < kSteps; ++step) {
    std::array<int32_t, 256> next{};
    size_t count = 0;
    for (int byte = 0; byte < 256; ++byte) {
      const int32_t to = sets.next(place, static_cast<uint8_t>(byte));
      if (to != mm::grammar::StackSets::kDead) {
        next[count++] = to;
      }
    }
    require(count > 0 || sets.may_end(place));
    if (count == 0) {
      return;
    }
    seed = seed * 1664525 + 1013904223;
    place = next[(seed >> 8) % count];
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2 || size > kMaxSize) {
    return 0;
  }
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    const mm::grammar::RuleSet rules = data[0] % 2 == 0 ? mm::grammar::parse_grammar_text(text)
                                                        : mm::grammar::json_schema_rules(text);
    walk(mm::grammar::Automaton(rules, mm::grammar::ByteSet().set()), data[size - 1]);
  } catch (const mm::Error& error) {
    require(error.kind() == mm::ErrorKind::kBadInput ||
            error.kind() == mm::ErrorKind::kUnsupported ||
            error.kind() == mm::ErrorKind::kTooLarge);
  }
  return 0;
}
