#include "serve/responses_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "serve/api_error.h"
#include "serve/chat_answer.h"
#include "serve/chat_fields.h"
#include "serve/context_chat.h"
#include "serve/generation_fields.h"

namespace mm {

namespace {

ApiError unsupported(const std::string& field, const std::string& message) {
  return {400, "invalid_request_error", message, field, "unsupported"};
}

/// A string, or the joined texts of a list of parts of one of the types.
std::string read_parts(const JsonFields& parent, const char* name,
                       std::initializer_list<std::string_view> types) {
  if (parent.required(name).is_string()) {
    return *parent.text(name);
  }
  const std::vector<JsonView> elements = *parent.list(name);
  std::string joined;
  size_t index = 0;
  for (const JsonView& element : elements) {
    const JsonFields part(element, fmt::format("{}[{}]", parent.path_of(name), index++));
    part.required("type");
    if (std::find(types.begin(), types.end(), *part.text("type")) == types.end()) {
      part.refuse("type", fmt::format("\"{}\": other parts are not supported by this server",
                                      *types.begin()));
    }
    part.required("text");
    joined += *part.text("text");
  }
  return joined;
}

/// The items of a conversation, one after the other, become messages.
class ItemsReader {
 public:
  explicit ItemsReader(ToolFormat format) : format_(format) {}

  void read(const JsonFields& item) {
    const std::string type = item.text("type").value_or("message");
    if (type == "reasoning") {
      return;  // thoughts are not shown to the model again
    }
    if (type == "function_call") {
      read_call(item);
      return;
    }
    end_calls();
    if (type == "message") {
      messages_.push_back(read_message(item));
    } else if (type == "function_call_output") {
      messages_.push_back(read_output(item));
    } else {
      item.refuse("type",
                  "\"message\", \"function_call\", \"function_call_output\" or \"reasoning\"");
    }
  }
  std::vector<ChatMessage> take() {
    end_calls();
    return std::move(messages_);
  }

 private:
  static ChatMessage read_message(const JsonFields& item) {
    item.required("role");
    std::string role = *item.text("role");
    if (role == "assistant") {
      return {.role = role, .content = read_parts(item, "content", {"output_text", "text"})};
    }
    if (role == "developer") {
      role = "system";  // OpenAI's newer word for it
    }
    if (role != "system" && role != "user") {
      item.refuse("role", "\"system\", \"developer\", \"user\" or \"assistant\"");
    }
    return {.role = role, .content = read_parts(item, "content", {"input_text", "text"})};
  }

  void read_call(const JsonFields& item) {
    check_format(item.path_of("type"));
    item.required("call_id");
    calls_.push_back(read_tool_call(item));
    names_[*item.text("call_id")] = calls_.back().name;
  }

  ChatMessage read_output(const JsonFields& item) {
    check_format(item.path_of("type"));
    item.required("call_id");
    const auto found = names_.find(*item.text("call_id"));
    if (found == names_.end()) {
      item.refuse("call_id", "the call_id of an earlier function_call");
    }
    return {.role = result_role(format_),
            .content = read_parts(item, "output", {"input_text", "text"}),
            .name = found->second};
  }

  /// Calls that follow one another belong to one answer, as does the text before them.
  void end_calls() {
    if (calls_.empty()) {
      return;
    }
    if (messages_.empty() || messages_.back().role != "assistant") {
      messages_.push_back({.role = "assistant", .content = ""});
    }
    std::string& content = messages_.back().content;
    content += (content.empty() ? "" : "\n") + format_tool_calls(format_, calls_);
    calls_.clear();
  }

  void check_format(const std::string& field) const {
    if (format_ == ToolFormat::kNone) {
      throw unsupported(field, field + ": the model's chat template has no place for tools");
    }
  }

  const ToolFormat format_;
  std::vector<ChatMessage> messages_;
  std::vector<ToolCall> calls_;               // whose answer may go on
  std::map<std::string, std::string> names_;  // of calls, by call_id
};

std::vector<ChatMessage> read_input(const JsonFields& body, ToolFormat format) {
  std::vector<ChatMessage> messages;
  if (body.required("input").is_string()) {
    messages = {{.role = "user", .content = *body.text("input")}};
  } else {
    const std::vector<JsonView> elements = *body.list("input");
    ItemsReader reader(format);
    size_t index = 0;
    for (const JsonView& element : elements) {
      reader.read(JsonFields(element, fmt::format("input[{}]", index++)));
    }
    messages = reader.take();
  }
  if (messages.empty()) {
    throw field_error("input", "input holds no message, expected a conversation");
  }
  if (const std::optional<std::string> instructions = body.text("instructions")) {
    messages.insert(messages.begin(), {.role = "system", .content = *instructions});
  }
  return messages;
}

/// Bare function objects, as templates print them; null: none.
Json read_tools(const JsonFields& body) {
  Json tools;
  for (const JsonView& element : read_tool_list(body)) {
    const JsonFields tool(element, fmt::format("tools[{}]", tools.size()));
    if (tool.text("type").value_or("") != "function") {
      tool.refuse("type", "\"function\": this server runs no tools itself");
    }
    Json json = {{"name", read_tool_name(tool)}};
    if (const std::optional<std::string> description = tool.text("description")) {
      json["description"] = *description;
    }
    if (const std::optional<JsonView> parameters = tool.find("parameters")) {
      const JsonFields check(*parameters, tool.path_of("parameters"));
      json["parameters"] = to_json(*parameters);
    }
    tools.push_back(std::move(json));
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
    const JsonFields named(*choice, "tool_choice");
    if (named.text("type").value_or("") != "function") {
      named.refuse("type", "\"function\"");
    }
    return {Kind::kNamed, read_tool_name(named)};
  }
  const std::optional<ToolChoice> word = find_tool_choice(choice->as_string("tool_choice"));
  if (!word) {
    body.refuse("tool_choice", "\"none\", \"auto\", \"required\" or a function");
  }
  return *word;
}

void check_unsupported(const JsonFields& body) {
  for (const char* name : {"previous_response_id", "conversation", "prompt", "background"}) {
    refuse_unless_empty(body, name);
  }
  if (body.integer("top_logprobs", 0, 20).value_or(0) > 0) {
    throw unsupported("top_logprobs", "top_logprobs is not supported here by this server");
  }
}

/// The request's tools with what the API has in each, given or not.
Json echo_tools(const JsonFields& body) {
  Json tools = Json::array();
  for (const JsonView& element : read_tool_list(body)) {
    Json tool = to_json(element);
    for (const char* name : {"parameters", "strict"}) {
      if (!tool.contains(name)) {
        tool[name] = nullptr;
      }
    }
    tools.push_back(std::move(tool));
  }
  return tools;
}

/// What the answer repeats.
Json make_echo(const JsonFields& body, const ServedModel& model, const GenerationFields& fields,
               const ChatFields& chat) {
  const auto or_null = [&](const char* name) {
    const std::optional<JsonView> value = body.find(name);
    return value ? to_json(*value) : Json();
  };
  Json choice = or_null("tool_choice");
  Json echo = {{"model", model.name},
               {"instructions", or_null("instructions")},
               {"max_output_tokens", or_null("max_output_tokens")},
               {"metadata", body.find("metadata") ? or_null("metadata") : Json::object()},
               {"parallel_tool_calls", chat.tools.most_calls == 0},
               {"temperature", fields.request.sampling.temperature},
               {"top_p", fields.request.sampling.top_p},
               {"tool_choice", choice.is_null() ? Json("auto") : std::move(choice)},
               {"tools", echo_tools(body)},
               {"user", or_null("user")}};
  const std::optional<JsonView> text = body.find("text");
  if (text && JsonFields(*text, "text").find("format")) {
    echo["text"] = to_json(*text);
  }
  return echo;
}

}  // namespace

ResponsesRequest read_responses_request(const JsonFields& body, const ServedModel& model) {
  check_unsupported(body);
  GenerationFields fields = read_generation_fields(body, model);
  if (fields.choices != 1) {
    body.refuse("n", "1");
  }
  constexpr int64_t kMost = int64_t{1} << 30;
  GenerationRequest& generation = fields.request;
  generation.max_tokens =
      body.integer("max_output_tokens", 1, kMost).value_or(generation.max_tokens);
  AnswerFormat format = read_text_format(body);
  ChatFields chat;
  chat.messages = read_input(body, model.tool_format);
  chat.tools = choose_tools(read_tool_choice(body), read_tools(body),
                            body.boolean("parallel_tool_calls").value_or(true), model.tool_format,
                            "parameters");
  ResponsesRequest request;
  request.answer.stream = fields.stream;
  request.answer.echo = make_echo(body, model, fields, chat);
  ChatAnswer answer = prepare_chat_answer(chat, std::move(format), model, generation);
  request.answer.parser = std::move(answer.parser);
  request.job.format = std::move(answer.format);
  request.context = body.text("context").value_or("");
  if (request.context.empty()) {
    generation.prompt = encode_chat(chat, model);
  } else {
    if (body.find("instructions")) {
      throw field_error("instructions", "instructions cannot be added to a context that has begun");
    }
    check_turns(chat, "input");
    request.turns = std::move(chat.messages);
  }
  request.job.requests.push_back(std::move(generation));
  return request;
}

}  // namespace mm
