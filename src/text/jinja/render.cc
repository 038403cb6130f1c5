#include "text/jinja/render.h"

#include "text/jinja/evaluator.h"
#include "text/jinja/from_json.h"

namespace mm::jinja {
namespace {

constexpr size_t kShownBytes = 80;

// The text of an expression on one line, cut where it gets long.
std::string excerpt(std::string_view source, const Place& place) {
  std::string text(source.substr(place.begin, place.end - place.begin));
  for (char& c : text) {
    c = c == '\n' || c == '\t' ? ' ' : c;
  }
  if (text.size() > kShownBytes) {
    size_t cut = kShownBytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xC0) == 0x80) {
      --cut;  // not inside a character
    }
    text.resize(cut);
    text += "...";
  }
  return text;
}

[[noreturn]] void report(const Fault& cause, const Template& source, std::string_view name,
                         const Evaluator& evaluator) {
  const Expr* culprit = evaluator.culprit();
  const Place& place = culprit != nullptr ? culprit->place : evaluator.place();
  const std::string shown =
      culprit != nullptr ? fmt::format(" (in `{}`)", excerpt(source.source, place)) : "";
  throw Error(cause.kind(),
              fmt::format("{}: line {}: {}{}", name, place.line, cause.what(), shown));
}

}  // namespace

std::string render(const Template& source, const RenderInput& input) {
  Evaluator evaluator(input.limits, input.now);
  std::string_view variable;
  try {
    for (const auto& [key, value] : input.variables) {
      variable = key;
      evaluator.set_global(key, from_json(evaluator.budget(), *value));
    }
  } catch (const Fault& cause) {
    raise(cause.kind(), "{}: variable '{}': {}", input.name, variable, cause.what());
  }
  try {
    return evaluator.run(source.body);
  } catch (const Fault& cause) {
    report(cause, source, input.name, evaluator);
  }
}

}  // namespace mm::jinja
