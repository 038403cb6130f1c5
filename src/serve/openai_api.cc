#include "serve/openai_api.h"

#include <fmt/format.h>

#include "serve/api_error.h"
#include "serve/generation_fields.h"
#include "serve/generation_job.h"
#include "serve/openai_answer.h"

namespace mm {

namespace {

/// What a completion may generate when it does not say, as OpenAI has it.
constexpr int64_t kCompletionTokens = 16;
constexpr size_t kMostPrompts = 128;

/// Refuses a field that is known and not served, unless it asks for nothing.
void refuse_unless_empty(const JsonFields& body, const char* name) {
  const std::optional<JsonView> value = body.find(name);
  if (!value || (value->is_array() && value->elements(name).empty()) ||
      (value->is_bool() && !value->as_bool(name)) ||
      (value->is_string() && value->as_string(name).empty())) {
    return;
  }
  throw ApiError(400, "invalid_request_error",
                 fmt::format("{} is not supported by this server", name), name, "unsupported");
}

void check_response_format(const JsonFields& body) {
  const std::optional<JsonView> format = body.find("response_format");
  if (!format) {
    return;
  }
  const std::string type = JsonFields(*format, "response_format").text("type").value_or("");
  if (type != "text") {
    throw ApiError(400, "invalid_request_error",
                   fmt::format("response_format.type is \"{}\", this server has \"text\" only",
                               type.substr(0, 40)),
                   "response_format", "unsupported");
  }
}

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

ChatMessage read_message(const JsonFields& message) {
  message.required("role");
  std::string role = *message.text("role");
  if (role == "developer") {
    role = "system";  // OpenAI's newer word for it
  }
  if (role != "system" && role != "user" && role != "assistant") {
    message.refuse("role", "\"system\", \"developer\", \"user\" or \"assistant\"");
  }
  refuse_unless_empty(message, "tool_calls");
  return {.role = std::move(role), .content = read_content(message)};
}

/// The choices of a list of prompts: each prompt's n, one after the other.
GenerationJobOptions make_job(const GenerationFields& fields,
                              std::vector<std::vector<int32_t>> prompts) {
  GenerationJobOptions job;
  job.progress = fields.stream && fields.return_progress;
  for (std::vector<int32_t>& prompt : prompts) {
    for (int i = 0; i < fields.choices; ++i) {
      GenerationRequest request = fields.request;
      request.prompt = prompt;
      request.sampling.seed += static_cast<uint64_t>(i);
      job.requests.push_back(std::move(request));
    }
  }
  return job;
}

void start(const std::shared_ptr<ServerState>& state, const std::shared_ptr<Exchange>& exchange,
           const GenerationFields& fields, GenerationJobOptions job, bool chat) {
  const ServedModel& model = state->ready();
  OpenAiAnswerOptions options;
  options.chat = chat;
  options.stream = fields.stream;
  options.include_usage = fields.include_usage;
  options.logprobs = job.top_logprobs >= 0;
  options.choices_per_prompt = fields.choices;
  options.choices = job.requests.size();
  options.model = model.name;
  start_generation(state, exchange, std::move(job),
                   make_openai_answer(exchange, *model.tokenizer, std::move(options)));
}

void answer_chat(const std::shared_ptr<ServerState>& state, const HttpRequest& request,
                 const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  state->metrics.count_request("/v1/chat/completions");
  const JsonDocument document = parse_body(request.body);
  const JsonFields body(document.root());
  const GenerationFields fields = read_generation_fields(body, model);
  check_response_format(body);
  for (const char* name : {"tools", "functions", "audio", "context", "images"}) {
    refuse_unless_empty(body, name);
  }
  const bool logprobs = body.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = body.integer("top_logprobs", 0, 20);
  if (top && !logprobs) {
    throw field_error("top_logprobs", "top_logprobs is given, but logprobs is not true");
  }
  GenerationJobOptions job = make_job(fields, {chat_prompts(model).encode(read_messages(body))});
  job.top_logprobs = logprobs ? static_cast<int>(top.value_or(0)) : -1;
  start(state, exchange, fields, std::move(job), true);
}

/// A string, strings, ids, or lists of ids.
std::vector<std::vector<int32_t>> read_prompts(const JsonFields& body, const ServedModel& model) {
  const JsonView prompt = body.required("prompt");
  if (prompt.is_string()) {
    return {model.tokenizer->encode(prompt.as_string("prompt"))};
  }
  const std::vector<JsonView> elements = *body.list("prompt");
  if (!elements.empty() && elements.front().is_int()) {
    return {read_ids(elements, "prompt", model.vocab_size)};
  }
  if (elements.empty() || elements.size() > kMostPrompts) {
    body.refuse("prompt", fmt::format("1 to {} prompts", kMostPrompts));
  }
  std::vector<std::vector<int32_t>> prompts;
  for (const JsonView& element : elements) {
    const std::string path = fmt::format("prompt[{}]", prompts.size());
    if (element.is_string()) {
      prompts.push_back(model.tokenizer->encode(element.as_string(path)));
    } else if (element.is_array()) {
      prompts.push_back(read_ids(element.elements(path), path, model.vocab_size));
    } else {
      throw field_error("prompt", path + " is neither a string nor an array of token ids");
    }
  }
  return prompts;
}

void answer_completion(const std::shared_ptr<ServerState>& state, const HttpRequest& request,
                       const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  state->metrics.count_request("/v1/completions");
  const JsonDocument document = parse_body(request.body);
  const JsonFields body(document.root());
  GenerationFields fields = read_generation_fields(body, model);
  check_response_format(body);
  for (const char* name : {"echo", "suffix"}) {
    refuse_unless_empty(body, name);
  }
  if (body.integer("best_of", 1, 128).value_or(fields.choices) != fields.choices) {
    body.refuse("best_of", "the same as n: this server returns all it generates");
  }
  if (fields.request.max_tokens < 0) {
    fields.request.max_tokens = kCompletionTokens;
  }
  GenerationJobOptions job = make_job(fields, read_prompts(body, model));
  job.top_logprobs = static_cast<int>(body.integer("logprobs", 0, 20).value_or(-1));
  start(state, exchange, fields, std::move(job), false);
}

}  // namespace

std::vector<ChatMessage> read_messages(const JsonFields& body) {
  body.required("messages");
  const std::vector<JsonView> elements = *body.list("messages");
  if (elements.empty()) {
    throw field_error("messages", "messages is empty, expected a conversation");
  }
  std::vector<ChatMessage> messages;
  for (const JsonView& element : elements) {
    messages.push_back(
        read_message(JsonFields(element, fmt::format("messages[{}]", messages.size()))));
  }
  return messages;
}

const PromptBuilder& chat_prompts(const ServedModel& model) {
  if (model.prompts == nullptr) {
    throw ApiError(400, "invalid_request_error",
                   "the model has no chat template; /v1/completions continues text as it stands",
                   "model", "no_chat_template");
  }
  return *model.prompts;
}

void add_openai_routes(Router& router, const std::shared_ptr<ServerState>& state) {
  router.add("POST", "/v1/chat/completions",
             [state](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
               answer_chat(state, request, exchange);
             });
  router.add("POST", "/v1/completions",
             [state](const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
               answer_completion(state, request, exchange);
             });
}

}  // namespace mm
