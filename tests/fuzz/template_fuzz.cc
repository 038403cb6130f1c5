// Any text as a chat template: it parses or is refused, and renders within its limits or is
// refused. The messages are fixed.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/check.h"
#include "base/error.h"
#include "text/chat_template.h"
#include "text/jinja/parser.h"
#include "text/jinja/render.h"

namespace {

// Small enough for many runs a second.
constexpr mm::jinja::Limits kLimits = {200'000, size_t{1} << 20, size_t{1} << 20, size_t{64} << 20};

const mm::Json& variables() {
  static const mm::Json kVariables = {
      {"messages",
       {{{"role", "system"}, {"content", "Be kind."}},
        {{"role", "user"}, {"content", {{{"type", "text"}, {"text", "Grüße, 世界"}}}}},
        {{"role", "assistant"}, {"content", nullptr}, {"n", 1.5}}}},
      {"tools", {{{"name", "f"}, {"parameters", {{"type", "object"}, {"items", {1, -2, true}}}}}}},
      {"add_generation_prompt", true},
      {"bos_token", "<s>"},
  };
  return kVariables;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view source(reinterpret_cast<const char*>(data), size);
  try {
    const mm::jinja::Template tree = mm::jinja::parse_template(source);
    mm::jinja::RenderInput input{"fuzz", {}, std::nullopt, kLimits};
    for (const auto& [name, value] : variables().items()) {
      input.variables.emplace_back(name, &value);
    }
    const std::string text = mm::jinja::render(tree, input);
    MM_CHECK(text.size() <= kLimits.output_bytes);
  } catch (const mm::jinja::SyntaxError&) {
  } catch (const mm::Error& error) {
    if (error.kind() != mm::ErrorKind::kBadInput && error.kind() != mm::ErrorKind::kTooLarge) {
      throw;
    }
  }
  return 0;
}
