#include "serve/anthropic_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "serve/api_error.h"
#include "serve/chat_answer.h"
#include "serve/chat_fields.h"
#include "serve/generation_fields.h"

namespace mm {

namespace {

constexpr size_t kMostStops = 16;

ApiError unsupported(const std::string& field, const std::string& message) {
  return {400, "invalid_request_error", message, field, "unsupported"};
}

/// Each block of a content that is a list, with its path.
std::vector<JsonFields> read_blocks(const JsonFields& parent, const char* name) {
  std::vector<JsonFields> blocks;
  const std::vector<JsonView> elements = *parent.list(name);
  for (const JsonView& element : elements) {
    blocks.emplace_back(element, fmt::format("{}[{}]", parent.path_of(name), blocks.size()));
    blocks.back().required("type");
  }
  return blocks;
}

std::string read_text(const JsonFields& block) {
  block.required("text");
  return *block.text("text");
}

/// A string or text blocks, whose texts are joined; absent: empty.
std::string read_texts(const JsonFields& parent, const char* name) {
  const std::optional<JsonView> content = parent.find(name);
  if (!content || content->is_string()) {
    return parent.text(name).value_or("");
  }
  std::string joined;
  for (const JsonFields& block : read_blocks(parent, name)) {
    if (*block.text("type") != "text") {
      block.refuse("type", "\"text\": other blocks are not supported here by this server");
    }
    joined += read_text(block);
  }
  return joined;
}

class MessagesReader {
 public:
  explicit MessagesReader(ToolFormat format) : format_(format) {}

  void read(const JsonFields& message) {
    message.required("role");
    const std::string role = *message.text("role");
    if (role != "user" && role != "assistant") {
      message.refuse("role", "\"user\" or \"assistant\"");
    }
    if (message.required("content").is_string()) {
      messages_.push_back({.role = role, .content = *message.text("content")});
    } else if (role == "user") {
      read_user(message);
    } else {
      read_assistant(message);
    }
  }
  std::vector<ChatMessage> take() { return std::move(messages_); }

 private:
  /// Results of tools become messages of their own, before the user's text.
  void read_user(const JsonFields& message) {
    std::string text;
    bool has_text = false;
    for (const JsonFields& block : read_blocks(message, "content")) {
      const std::string type = *block.text("type");
      if (type == "text") {
        text += read_text(block);
        has_text = true;
      } else if (type == "tool_result") {
        messages_.push_back(read_result(block));
      } else {
        block.refuse("type", "\"text\" or \"tool_result\": this server supports no others");
      }
    }
    if (has_text) {
      messages_.push_back({.role = "user", .content = std::move(text)});
    }
  }

  ChatMessage read_result(const JsonFields& block) {
    check_format(block.path_of("type"));
    block.required("tool_use_id");
    const auto found = names_.find(*block.text("tool_use_id"));
    if (found == names_.end()) {
      block.refuse("tool_use_id", "the id of a tool_use in an earlier message");
    }
    const std::string content = read_texts(block, "content");
    const bool failed = block.boolean("is_error").value_or(false);
    return {.role = result_role(format_),
            .content = failed ? "Error: " + content : content,
            .name = found->second};
  }

  void read_assistant(const JsonFields& message) {
    std::string text;
    std::vector<ToolCall> calls;
    for (const JsonFields& block : read_blocks(message, "content")) {
      const std::string type = *block.text("type");
      if (type == "text") {
        text += read_text(block);
      } else if (type == "tool_use") {
        check_format(block.path_of("type"));
        const JsonView input = block.required("input");
        const JsonFields check(input, block.path_of("input"));
        calls.push_back({read_tool_name(block), input.dump()});
        names_[block.text("id").value_or("")] = calls.back().name;
      } else if (type != "thinking" && type != "redacted_thinking") {  // not shown to the model
        block.refuse("type", "\"text\", \"tool_use\" or \"thinking\"");
      }
    }
    if (!calls.empty()) {
      text += (text.empty() ? "" : "\n") + format_tool_calls(format_, calls);
    }
    messages_.push_back({.role = "assistant", .content = std::move(text)});
  }

  void check_format(const std::string& field) const {
    if (format_ == ToolFormat::kNone) {
      throw unsupported(field, field + ": the model's chat template has no place for tools");
    }
  }

  const ToolFormat format_;
  std::vector<ChatMessage> messages_;
  std::map<std::string, std::string> names_;  // of calls, by id
};

/// Tools as templates print them: what Anthropic calls input_schema is their parameters.
Json read_tools(const JsonFields& body) {
  Json tools;
  for (const JsonView& element : read_tool_list(body)) {
    const JsonFields tool(element, fmt::format("tools[{}]", tools.size()));
    if (tool.text("type").value_or("custom") != "custom") {
      tool.refuse("type", "\"custom\": this server runs no tools itself");
    }
    Json json = {{"name", read_tool_name(tool)}};
    if (const std::optional<std::string> description = tool.text("description")) {
      json["description"] = *description;
    }
    const JsonView schema = tool.required("input_schema");
    const JsonFields check(schema, tool.path_of("input_schema"));
    json["parameters"] = to_json(schema);
    tools.push_back(std::move(json));
  }
  return tools;
}

/// Reads tool_choice, and into `parallel` whether there may be more than one call.
ToolChoice read_tool_choice(const JsonFields& body, bool& parallel) {
  using Kind = ToolChoice::Kind;
  const std::optional<JsonView> choice = body.find("tool_choice");
  if (!choice) {
    return {};
  }
  const JsonFields fields(*choice, "tool_choice");
  fields.required("type");
  const std::string type = *fields.text("type");
  parallel = !fields.boolean("disable_parallel_tool_use").value_or(false);
  if (type == "tool") {
    return {Kind::kNamed, read_tool_name(fields)};
  }
  if (type == "any") {
    return {Kind::kRequired};
  }
  if (type != "auto" && type != "none") {
    fields.refuse("type", "\"auto\", \"none\", \"any\" or \"tool\"");
  }
  return {type == "auto" ? Kind::kAuto : Kind::kNone};
}

ChatFields read_chat(const JsonFields& body, ToolFormat format) {
  ChatFields chat;
  body.required("messages");
  const std::vector<JsonView> elements = *body.list("messages");
  if (elements.empty()) {
    throw field_error("messages", "messages is empty, expected a conversation");
  }
  MessagesReader reader(format);
  size_t index = 0;
  for (const JsonView& element : elements) {
    reader.read(JsonFields(element, fmt::format("messages[{}]", index++)));
  }
  chat.messages = reader.take();
  if (body.find("system")) {
    chat.messages.insert(chat.messages.begin(),
                         {.role = "system", .content = read_texts(body, "system")});
  }
  bool parallel = true;
  const ToolChoice choice = read_tool_choice(body, parallel);
  chat.tools = choose_tools(choice, read_tools(body), parallel, format, "input_schema");
  return chat;
}

void read_stops(const JsonFields& body, std::vector<std::string>& stops) {
  const std::vector<JsonView> elements =
      body.list("stop_sequences").value_or(std::vector<JsonView>());
  if (elements.size() > kMostStops) {
    body.refuse("stop_sequences", fmt::format("at most {} strings", kMostStops));
  }
  for (const JsonView& element : elements) {
    if (!element.is_string() || element.as_string("stop_sequences").empty()) {
      body.refuse("stop_sequences", "strings that are not empty");
    }
    stops.emplace_back(element.as_string("stop_sequences"));
  }
}

}  // namespace

AnthropicRequest read_anthropic_request(const JsonFields& body, const ServedModel& model) {
  body.required("max_tokens");
  const GenerationFields fields = read_generation_fields(body, model);
  if (fields.choices != 1) {
    body.refuse("n", "1");
  }
  const ChatFields chat = read_chat(body, model.tool_format);
  GenerationRequest generation = fields.request;
  read_stops(body, generation.stops);
  generation.prompt = encode_chat(chat, model);
  ChatAnswer answer = prepare_chat_answer(chat, {}, model, generation);
  AnthropicRequest request;
  request.job.format = std::move(answer.format);
  request.job.requests.push_back(std::move(generation));
  request.parser = std::move(answer.parser);
  request.stream = fields.stream;
  return request;
}

std::vector<int32_t> read_anthropic_prompt(const JsonFields& body, const ServedModel& model) {
  return encode_chat(read_chat(body, model.tool_format), model);
}

}  // namespace mm
