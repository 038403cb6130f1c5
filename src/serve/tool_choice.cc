#include "serve/tool_choice.h"

#include <fmt/format.h>

#include <utility>

#include "serve/api_error.h"

namespace mm {

namespace {

/// A function without a word about its parameters has none.
Json parameters_of(const Json& tool) {
  const auto found = tool.find("parameters");
  if (found != tool.end() && !found->is_null()) {
    return *found;
  }
  return {{"type", "object"}, {"properties", Json::object()}};
}

CallDemand make_demand(const ToolChoice& choice, const Json& tools) {
  CallDemand demand;
  demand.is_named = choice.kind == ToolChoice::Kind::kNamed;
  demand.tools = Json::array();
  for (size_t i = 0; i < tools.size(); ++i) {
    const Json& name = tools[i]["name"];
    if (!demand.is_named || name == choice.name) {
      demand.tools.push_back(
          {{"index", i}, {"name", name}, {"parameters", parameters_of(tools[i])}});
    }
  }
  if (demand.tools.empty()) {
    throw field_error("tool_choice",
                      fmt::format("tool_choice names \"{}\", which is not in tools", choice.name));
  }
  return demand;
}

}  // namespace

std::optional<ToolChoice> find_tool_choice(std::string_view word) {
  using Kind = ToolChoice::Kind;
  if (word == "none") {
    return ToolChoice{Kind::kNone};
  }
  if (word == "auto") {
    return ToolChoice{Kind::kAuto};
  }
  if (word == "required") {
    return ToolChoice{Kind::kRequired};
  }
  return std::nullopt;
}

ToolUse choose_tools(const ToolChoice& choice, Json tools, bool parallel, ToolFormat format,
                     std::string schema_field) {
  using Kind = ToolChoice::Kind;
  const bool is_demand = choice.kind == Kind::kRequired || choice.kind == Kind::kNamed;
  if (is_demand && tools.is_null()) {
    throw field_error("tool_choice", "tool_choice asks for a call, but there are no tools");
  }
  ToolUse use;
  use.most_calls = parallel ? 0 : 1;
  if (choice.kind == Kind::kNone || tools.is_null()) {
    return use;
  }
  if (is_demand) {
    use.demand = make_demand(choice, tools);
    use.demand.form = format == ToolFormat::kNone ? ToolFormat::kM1 : format;
    use.demand.one = !parallel || use.demand.is_named;
    use.demand.schema_field = std::move(schema_field);
  } else if (format == ToolFormat::kNone) {
    throw ApiError(400, "invalid_request_error",
                   "tools: the model's chat template has no place for them; only calls that "
                   "tool_choice asks for can be made",
                   "tools", "unsupported");
  }
  if (format != ToolFormat::kNone) {
    use.told = std::move(tools);
  }
  return use;
}

}  // namespace mm
