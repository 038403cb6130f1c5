/// Which calls of tools an answer may hold, and which it must.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/json_value.h"
#include "serve/tool_format.h"

namespace mm {

/// `tool_choice` of a request, in whatever API's form.
struct ToolChoice {
  enum class Kind : uint8_t { kNone, kAuto, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name = {};  ///< of kNamed
};

/// The words of OpenAI's APIs: none, auto, required. Nothing for another one.
std::optional<ToolChoice> find_tool_choice(std::string_view word);

/// Calls of which an answer must consist.
struct CallDemand {
  CallDemand() = default;  // NOLINT(bugprone-exception-escape): only bad_alloc, which may end us

  ToolFormat form = ToolFormat::kNone;  ///< how they are written; kNone: nothing is demanded
  bool one = false;                     ///< exactly one; else one or more
  bool is_named = false;                ///< the request names the tool
  /// What may be called: {"index" in the request's tools, "name", "parameters", a schema}.
  Json tools;
  std::string schema_field;  ///< where a tool of the request has its schema, for errors
};

/// A request's tools as the model meets them.
struct ToolUse {
  ToolUse() = default;  // NOLINT(bugprone-exception-escape): as above

  Json told;              ///< bare function objects that the prompt shows; null: none
  size_t most_calls = 0;  ///< that an answer may hold; 0: no limit
  CallDemand demand;      ///< empty: the model decides
};

/// `tools`: bare function objects, null: none. `parallel`: whether there may be more than one call.
/// `schema_field`: "function.parameters", say. A template without a place for tools (`format`
/// kNone) still leaves calls that must come, in M1's form, of tools that the model is not told of.
/// Throws ApiError 400: calls must come and there is no such tool; tools may be called and there is
/// no place to tell of them.
ToolUse choose_tools(const ToolChoice& choice, Json tools, bool parallel, ToolFormat format,
                     std::string schema_field);

}  // namespace mm
