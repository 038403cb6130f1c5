/// Running a parsed template.
#pragma once

#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_value.h"
#include "text/jinja/ast.h"
#include "text/jinja/budget.h"

namespace mm::jinja {

/// What a rendering starts from.
struct RenderInput {
  std::string_view name;  ///< of the template, for errors
  /// Variables by name; later ones win. The values must outlive the call.
  std::vector<std::pair<std::string, const Json*>> variables;
  std::optional<std::tm> now;  ///< for strftime_now
  Limits limits;
};

/// Renders a template. Throws kBadInput (or kTooLarge when a limit is passed) with the template's
/// name, the line and the expression.
std::string render(const Template& source, const RenderInput& input);

}  // namespace mm::jinja
