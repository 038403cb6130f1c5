#include "serve/openai_request.h"

#include <fmt/format.h>

#include "serve/api_error.h"
#include "serve/chat_answer.h"
#include "serve/chat_fields.h"
#include "serve/context_chat.h"
#include "serve/generation_fields.h"

namespace mm {

namespace {

/// What a completion may generate when it does not say, as OpenAI has it.
constexpr int64_t kCompletionTokens = 16;
constexpr size_t kMostPrompts = 128;

/// The choices of a list of prompts: each prompt's n, one after the other.
GenerationJobOptions make_job(const GenerationFields& fields,
                              const std::vector<std::vector<int32_t>>& prompts) {
  GenerationJobOptions job;
  job.progress = fields.stream && fields.return_progress;
  for (const std::vector<int32_t>& prompt : prompts) {
    for (int i = 0; i < fields.choices; ++i) {
      GenerationRequest request = fields.request;
      request.prompt = prompt;
      request.sampling.seed += static_cast<uint64_t>(i);
      job.requests.push_back(std::move(request));
    }
  }
  return job;
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

OpenAiAnswerOptions make_answer_options(const GenerationFields& fields,
                                        const GenerationJobOptions& job, const ServedModel& model) {
  OpenAiAnswerOptions options;
  options.stream = fields.stream;
  options.include_usage = fields.include_usage;
  options.logprobs = job.top_logprobs >= 0;
  options.choices_per_prompt = fields.choices;
  options.choices = job.requests.size();
  options.model = model.name;
  return options;
}

}  // namespace

OpenAiRequest read_chat_request(const JsonFields& body, const ServedModel& model) {
  GenerationFields fields = read_generation_fields(body, model);
  AnswerFormat format = read_answer_format(body);
  for (const char* name : {"functions", "audio", "images"}) {
    refuse_unless_empty(body, name);
  }
  const bool logprobs = body.boolean("logprobs").value_or(false);
  const std::optional<int64_t> top = body.integer("top_logprobs", 0, 20);
  if (top && !logprobs) {
    throw field_error("top_logprobs", "top_logprobs is given, but logprobs is not true");
  }
  const ChatFields chat = read_chat_fields(body, model.tool_format);
  ChatAnswer answer = prepare_chat_answer(chat, std::move(format), model, fields.request);
  OpenAiRequest request;
  request.context = body.text("context").value_or("");
  if (request.context.empty()) {
    request.job = make_job(fields, {encode_chat(chat, model)});
  } else {
    check_turns(chat, "messages");
    request.turns = chat.messages;
    request.job = make_job(fields, {{}});
  }
  request.job.top_logprobs = logprobs ? static_cast<int>(top.value_or(0)) : -1;
  request.answer = make_answer_options(fields, request.job, model);
  request.answer.chat = true;
  request.answer.named_call = chat.tools.demand.is_named;
  request.answer.parser = std::move(answer.parser);
  request.job.format = std::move(answer.format);
  return request;
}

OpenAiRequest read_completion_request(const JsonFields& body, const ServedModel& model) {
  GenerationFields fields = read_generation_fields(body, model);
  AnswerFormat format = read_answer_format(body);
  prepare_for_format(format, false, fields.request);
  for (const char* name : {"echo", "suffix", "context"}) {
    refuse_unless_empty(body, name);
  }
  if (body.integer("best_of", 1, 128).value_or(fields.choices) != fields.choices) {
    body.refuse("best_of", "the same as n: this server returns all it generates");
  }
  if (fields.request.max_tokens < 0) {
    fields.request.max_tokens = kCompletionTokens;
  }
  OpenAiRequest request;
  request.job = make_job(fields, read_prompts(body, model));
  request.job.top_logprobs = static_cast<int>(body.integer("logprobs", 0, 20).value_or(-1));
  request.job.format = std::move(format);
  request.answer = make_answer_options(fields, request.job, model);
  return request;
}

}  // namespace mm
