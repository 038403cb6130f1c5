/// How a model writes calls of tools, and how its template takes their results.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/prompt.h"

namespace mm {

/// The text forms of MiniMax's models (model spec, sections 6.3 and 9).
enum class ToolFormat : uint8_t {
  kNone,    ///< the template has no place for tools
  kText01,  ///< <function_call>```typescript, a line functions.NAME({…}) a call, ```
  kM1,  ///< <tool_calls>, a line {"name": …, "arguments": {…}} a call, </tool_calls>; thoughts
        ///< between <think> and </think> come first
};

struct ToolCall {
  std::string name;
  std::string arguments;  ///< JSON text, an object
};

/// The texts round names and arguments. A call is `before_name`, the name, `before_arguments`, the
/// arguments and `end`; an answer's calls are `opening`, a call a line, and `closing`.
struct CallForm {
  std::string_view opening, before_name, before_arguments, end, closing;
};

/// `format` is not kNone.
const CallForm& call_form(ToolFormat format);

/// Finds out with a trial rendering: a template of M1's form tells the model of <tool_calls>.
ToolFormat find_tool_format(const PromptBuilder& prompts);

/// Calls as the model itself would have written them. `format` is not kNone; the arguments are
/// valid JSON.
std::string format_tool_calls(ToolFormat format, const std::vector<ToolCall>& calls);

/// The role of a message with a tool's result.
const char* result_role(ToolFormat format);

/// What begins the calls in an answer; empty for kNone.
const char* calls_marker(ToolFormat format);

}  // namespace mm
