#include "serve/tool_format.h"

#include <utility>

#include "base/check.h"
#include "base/error.h"
#include "base/json.h"
#include "base/json_value.h"

namespace mm {

namespace {

/// JSON as templates and training data have it: ", " and ": " between, all else compact.
void append_spaced(std::string& out, const JsonView& value) {
  const char* separator = "";
  if (value.is_array()) {
    out += '[';
    for (const JsonView& element : value.elements("")) {
      out += std::exchange(separator, ", ");
      append_spaced(out, element);
    }
    out += ']';
  } else if (value.is_object()) {
    out += '{';
    for (const auto& [key, member] : value.members("")) {
      out += std::exchange(separator, ", ");
      out += Json(std::string(key)).dump() + ": ";
      append_spaced(out, member);
    }
    out += '}';
  } else {
    out += value.dump();
  }
}

std::string spaced(const std::string& json) {
  std::string out;
  append_spaced(out, JsonDocument::parse(json, "arguments").root());
  return out;
}

}  // namespace

const CallForm& call_form(ToolFormat format) {
  static constexpr CallForm kText01{"<function_call>```typescript\n", "functions.", "(", ")",
                                    "```"};
  static constexpr CallForm kM1{"<tool_calls>\n", R"({"name": ")", R"(", "arguments": )", "}",
                                "</tool_calls>"};
  MM_CHECK(format != ToolFormat::kNone);
  return format == ToolFormat::kM1 ? kM1 : kText01;
}

ToolFormat find_tool_format(const PromptBuilder& prompts) {
  if (!prompts.accepts_tools()) {
    return ToolFormat::kNone;
  }
  const Json tool = {{"name", "probe"},
                     {"description", "A probe."},
                     {"parameters", {{"type", "object"}, {"properties", Json::object()}}}};
  try {
    const std::string text =
        prompts.render({{.role = "user", .content = "Hello"}}, Json::array({tool}));
    return text.find("<tool_calls>") != std::string::npos ? ToolFormat::kM1 : ToolFormat::kText01;
  } catch (const Error&) {
    return ToolFormat::kText01;  // wants more than a probe has; only M1's form is told in the text
  }
}

std::string format_tool_calls(ToolFormat format, const std::vector<ToolCall>& calls) {
  const CallForm& form = call_form(format);
  std::string out(form.opening);
  for (const ToolCall& call : calls) {
    out += form.before_name;
    out += call.name;
    out += form.before_arguments;
    out += spaced(call.arguments);
    out += form.end;
    out += '\n';
  }
  return out += form.closing;
}

const char* result_role(ToolFormat format) {
  return format == ToolFormat::kText01 ? "function" : "tool";
}

const char* calls_marker(ToolFormat format) {
  switch (format) {
    case ToolFormat::kText01:
      return "<function_call>";
    case ToolFormat::kM1:
      return "<tool_calls>";
    case ToolFormat::kNone:
      break;
  }
  return "";
}

}  // namespace mm
