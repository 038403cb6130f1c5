#include "serve/chat_fields.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "base/error.h"
#include "serve/api_error.h"

namespace mm {

namespace {

constexpr size_t kMostTools = 128;
constexpr size_t kMostName = 64;

ApiError unsupported(const std::string& field, const std::string& message) {
  return {400, "invalid_request_error", message, field, "unsupported"};
}

/// A string, or the texts of a list of parts.
std::string read_content(const JsonFields& message) {
  const JsonView content = message.required("content");
  if (content.is_string()) {
    return std::string(content.as_string("content"));
  }
  if (!content.is_array()) {
    message.refuse("content", "a string or an array of parts");
  }
  std::string joined;
  size_t index = 0;
  for (const JsonView& element : content.elements("content")) {
    const JsonFields part(element, fmt::format("{}[{}]", message.path_of("content"), index++));
    if (part.text("type").value_or("") != "text") {
      part.refuse("type", "\"text\": other parts are not supported by this server");
    }
    part.required("text");
    joined += *part.text("text");
  }
  return joined;
}

/// The member that holds the function of a tool, a call or a choice.
JsonFields read_function(const JsonFields& parent) {
  if (parent.text("type").value_or("function") != "function") {
    parent.refuse("type", "\"function\"");
  }
  return JsonFields(parent.required("function"), parent.path_of("function"));
}

class MessageReader {
 public:
  explicit MessageReader(ToolFormat format) : format_(format) {}

  ChatMessage read(const JsonFields& message) {
    message.required("role");
    std::string role = *message.text("role");
    if (role == "assistant") {
      return {.role = std::move(role), .content = read_assistant(message)};
    }
    if (role == "tool" || role == "function") {
      return read_result(message, role == "tool");
    }
    if (role == "developer") {
      role = "system";  // OpenAI's newer word for it
    }
    if (role != "system" && role != "user") {
      message.refuse("role", "\"system\", \"developer\", \"user\", \"assistant\" or \"tool\"");
    }
    return {.role = std::move(role), .content = read_content(message)};
  }

 private:
  std::string read_assistant(const JsonFields& message) {
    const std::vector<JsonView> elements =
        message.list("tool_calls").value_or(std::vector<JsonView>());
    if (elements.empty()) {
      return read_content(message);
    }
    check_format(message.path_of("tool_calls"));
    std::vector<ToolCall> calls;
    for (const JsonView& element : elements) {
      const JsonFields call(element,
                            fmt::format("{}[{}]", message.path_of("tool_calls"), calls.size()));
      calls.push_back(read_tool_call(read_function(call)));
      names_[call.text("id").value_or("")] = calls.back().name;
    }
    const std::string content = message.find("content") ? read_content(message) : "";
    return content + (content.empty() ? "" : "\n") + format_tool_calls(format_, calls);
  }

  ChatMessage read_result(const JsonFields& message, bool by_id) {
    check_format(message.path_of("role"));
    std::string name;
    if (by_id) {
      message.required("tool_call_id");
      const auto found = names_.find(*message.text("tool_call_id"));
      if (found == names_.end()) {
        message.refuse("tool_call_id", "the id of a call in an earlier message");
      }
      name = found->second;
    } else {
      name = read_tool_name(message);
    }
    return {.role = result_role(format_), .content = read_content(message), .name = name};
  }

  void check_format(const std::string& field) const {
    if (format_ == ToolFormat::kNone) {
      throw unsupported(field, field + ": the model's chat template has no place for tools");
    }
  }

  const ToolFormat format_;
  std::map<std::string, std::string> names_;  // of calls, by id
};

/// Bare function objects, their keys in the order given.
Json read_tools(const JsonFields& body) {
  Json tools;
  for (const JsonView& element : read_tool_list(body)) {
    const JsonFields function =
        read_function(JsonFields(element, fmt::format("tools[{}]", tools.size())));
    const std::string name = read_tool_name(function);
    function.text("description");
    if (const std::optional<JsonView> parameters = function.find("parameters")) {
      const JsonFields check(*parameters, function.path_of("parameters"));
    }
    for (const Json& other : tools) {
      if (other["name"] == name) {
        function.refuse("name", "names that differ");
      }
    }
    tools.push_back(to_json(*element.find("function")));
  }
  return tools;
}

ToolChoice read_tool_choice(const JsonFields& body) {
  using Kind = ToolChoice::Kind;
  const std::optional<JsonView> choice = body.find("tool_choice");
  if (!choice) {
    return {};
  }
  if (!choice->is_string()) {
    return {Kind::kNamed, read_tool_name(read_function(JsonFields(*choice, "tool_choice")))};
  }
  const std::optional<ToolChoice> word = find_tool_choice(choice->as_string("tool_choice"));
  if (!word) {
    body.refuse("tool_choice", "\"none\", \"auto\", \"required\" or a function");
  }
  return *word;
}

}  // namespace

ChatFields read_chat_fields(const JsonFields& body, ToolFormat format) {
  body.required("messages");
  const std::vector<JsonView> elements = *body.list("messages");
  if (elements.empty()) {
    throw field_error("messages", "messages is empty, expected a conversation");
  }
  ChatFields fields;
  MessageReader reader(format);
  for (const JsonView& element : elements) {
    fields.messages.push_back(
        reader.read(JsonFields(element, fmt::format("messages[{}]", fields.messages.size()))));
  }
  fields.tools = choose_tools(read_tool_choice(body), read_tools(body),
                              body.boolean("parallel_tool_calls").value_or(true), format,
                              "function.parameters");
  return fields;
}

ToolCall read_tool_call(const JsonFields& function) {
  ToolCall call{read_tool_name(function), function.text("arguments").value_or("")};
  if (call.arguments.empty()) {
    call.arguments = "{}";
  }
  bool is_object = false;
  try {
    is_object = JsonDocument::parse(call.arguments, "arguments").root().is_object();
  } catch (const Error&) {
    is_object = false;
  }
  if (!is_object) {
    function.refuse("arguments", "a string that holds a JSON object");
  }
  return call;
}

std::vector<JsonView> read_tool_list(const JsonFields& body) {
  std::vector<JsonView> elements = body.list("tools").value_or(std::vector<JsonView>());
  if (elements.size() > kMostTools) {
    throw field_error("tools", fmt::format("tools has {} elements, expected at most {}",
                                           elements.size(), kMostTools));
  }
  return elements;
}

std::string read_tool_name(const JsonFields& function) {
  function.required("name");
  std::string name = *function.text("name");
  const bool is_valid =
      !name.empty() && name.size() <= kMostName &&
      std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return (c < 0x80 && std::isalnum(c) != 0) || c == '_' || c == '-' || c == '.';
      });
  if (!is_valid) {
    function.refuse("name", fmt::format("1 to {} letters, digits, '_', '-' or '.'", kMostName));
  }
  return name;
}

const PromptBuilder& chat_prompts(const ServedModel& model) {
  if (model.prompts == nullptr) {
    throw ApiError(400, "invalid_request_error",
                   "the model has no chat template; /v1/completions continues text as it stands",
                   "model", "no_chat_template");
  }
  return *model.prompts;
}

}  // namespace mm
