#include "serve/openai_answer.h"

#include "serve/answer_text.h"

namespace mm {

namespace {

/// As OpenAI has it: a call that the request itself named is no reason, the answer just stops.
const char* finish_reason(const GenerationResult& result, const AnswerParser& parser,
                          bool named_call) {
  if (parser.calls() > 0 && (result.reason == FinishReason::kStop || parser.done())) {
    return named_call ? "stop" : "tool_calls";
  }
  return result.reason == FinishReason::kStop ? "stop" : "length";
}

/// What one choice has come to.
struct Choice {
  explicit Choice(const AnswerParserOptions& options) : parser(options) {}

  AnswerParser parser;
  std::string text;
  std::string reasoning;
  Json calls = Json::array();
  std::vector<TokenLogprobs> tokens;
  GenerationResult result;
  int64_t offset = 0;  // bytes of the tokens whose log-probabilities were written
};

class OpenAiAnswer final : public AnswerWriter {
 public:
  OpenAiAnswer(std::shared_ptr<Exchange> exchange, const Tokenizer& tokenizer,
               OpenAiAnswerOptions options)
      : exchange_(std::move(exchange)),
        tokenizer_(tokenizer),
        options_(std::move(options)),
        choices_(options_.choices, Choice(options_.parser)),
        id_(make_answer_id(options_.chat ? "chatcmpl-" : "cmpl-")),
        created_(unix_seconds()) {}

  void begin() override {
    if (!options_.stream) {
      return;
    }
    exchange_->begin(event_stream_head(": keep-alive\n\n"));
    begun_ = true;
    for (size_t i = 0; options_.chat && i < choices_.size(); ++i) {
      write_choice(i, {{"delta", {{"role", "assistant"}, {"content", ""}}},
                       {"logprobs", nullptr},
                       {"finish_reason", nullptr}});
    }
  }

  void progress(int64_t done, int64_t total) override {
    if (options_.stream) {
      Json event = frame(Json::array());
      event["prompt_progress"] = {{"processed", done}, {"total", total}};
      exchange_->write(sse_data(event));
    }
  }

  bool text(size_t choice, const std::string& piece,
            const std::vector<TokenLogprobs>& tokens) override {
    Choice& target = choices_[choice];
    const bool heard = add(choice, target.parser.push(piece), tokens);
    return heard && !target.parser.done();
  }

  void end(size_t choice, const GenerationResult& result,
           const std::vector<TokenLogprobs>& tokens) override {
    Choice& target = choices_[choice];
    target.result = result;
    add(choice, target.parser.finish(), tokens);
    if (options_.stream) {
      write_choice(choice, body(target, part_json({}), {},
                                finish_reason(result, target.parser, options_.named_call)));
    }
  }

  void finish() override {
    if (options_.stream) {
      if (options_.include_usage) {
        Json event = frame(Json::array());
        event["usage"] = usage();
        exchange_->write(sse_data(event));
      }
      exchange_->write("data: [DONE]\n\n");
      exchange_->finish();
      return;
    }
    Json all = Json::array();
    for (size_t i = 0; i < choices_.size(); ++i) {
      Choice& choice = choices_[i];
      Json json = {{"index", i}};
      json.update(body(choice, whole_json(choice), choice.tokens,
                       finish_reason(choice.result, choice.parser, options_.named_call)));
      all.push_back(std::move(json));
    }
    Json answer = frame(std::move(all));
    answer["usage"] = usage();
    HttpResponse response;
    response.body = dump_json(answer);
    exchange_->respond(std::move(response));
  }

  void fail(const ApiError& error) override {
    if (!begun_) {
      exchange_->respond(error_response(error));
      return;
    }
    exchange_->write(sse_data(error_json(error)));
    exchange_->write("data: [DONE]\n\n");
    exchange_->finish();
  }

 private:
  Json frame(Json choices) const {
    const char* object = options_.chat
                             ? (options_.stream ? "chat.completion.chunk" : "chat.completion")
                             : "text_completion";
    return {{"id", id_},
            {"object", object},
            {"created", created_},
            {"model", options_.model},
            {"choices", std::move(choices)}};
  }

  bool write_choice(size_t index, const Json& fields) {
    Json json = {{"index", index}};
    json.update(fields);
    return exchange_->write(sse_data(frame(Json::array({std::move(json)}))));
  }

  /// Keeps the parts of a whole answer, writes those of a stream. False: nobody listens.
  bool add(size_t index, const std::vector<AnswerPart>& parts,
           const std::vector<TokenLogprobs>& tokens) {
    Choice& choice = choices_[index];
    if (!options_.stream) {
      choice.tokens.insert(choice.tokens.end(), tokens.begin(), tokens.end());
    } else if (parts.empty() && options_.logprobs && !tokens.empty()) {
      return write_choice(index, body(choice, part_json({}), tokens, nullptr));
    }
    bool heard = true;
    const std::vector<TokenLogprobs>* left = &tokens;  // the first part tells of them
    static const std::vector<TokenLogprobs> kNone;
    for (const AnswerPart& part : parts) {
      Json fields = part_json(part);
      if (part.kind == AnswerPart::Kind::kToolCall) {
        fields["delta"]["tool_calls"].push_back(add_call(choice, part.call));
      } else if (!options_.stream) {
        (part.kind == AnswerPart::Kind::kText ? choice.text : choice.reasoning) += part.text;
      }
      if (options_.stream) {
        heard = write_choice(index, body(choice, std::move(fields), *left, nullptr));
        left = &kNone;
      }
    }
    return heard;
  }

  /// Keeps a call and returns it with its index, as streams have it.
  static Json add_call(Choice& choice, const ToolCall& call) {
    choice.calls.push_back({{"id", make_answer_id("call-")},
                            {"type", "function"},
                            {"function", {{"name", call.name}, {"arguments", call.arguments}}}});
    Json json = {{"index", choice.calls.size() - 1}};
    json.update(choice.calls.back());
    return json;
  }

  /// The text of a part where the API has it; calls are the caller's.
  Json part_json(const AnswerPart& part) const {
    if (!options_.chat) {
      return {{"text", part.text}};
    }
    Json delta = Json::object();
    if (!part.text.empty()) {
      delta[part.kind == AnswerPart::Kind::kText ? "content" : "reasoning_content"] = part.text;
    }
    return {{"delta", std::move(delta)}};
  }

  Json whole_json(const Choice& choice) const {
    if (!options_.chat) {
      return {{"text", choice.text}};
    }
    Json message = {{"role", "assistant"}};
    message["content"] = choice.text.empty() && !choice.calls.empty() ? Json() : Json(choice.text);
    message["refusal"] = nullptr;  // the API has it always
    if (!choice.reasoning.empty()) {
      message["reasoning_content"] = choice.reasoning;
    }
    if (!choice.calls.empty()) {
      message["tool_calls"] = choice.calls;
    }
    return {{"message", std::move(message)}};
  }

  /// The fields of a choice, or of a part of it.
  Json body(Choice& choice, Json json, const std::vector<TokenLogprobs>& tokens,
            const char* reason) const {
    const bool has_tokens = options_.logprobs && !(options_.stream && tokens.empty());
    json["logprobs"] = !has_tokens     ? Json()
                       : options_.chat ? chat_logprobs(tokens)
                                       : completion_logprobs(choice, tokens);
    json["finish_reason"] = reason == nullptr ? Json() : Json(reason);
    return json;
  }

  std::string token_text(int32_t id) const {
    return tokenizer_.contains(id) ? tokenizer_.decode({&id, 1}, {.skip_special = false}) : "";
  }

  Json chat_token(int32_t id, float logprob) const {
    Json bytes = Json::array();
    for (const char c : tokenizer_.piece(id)) {
      bytes.push_back(static_cast<unsigned char>(c));
    }
    return {{"token", token_text(id)}, {"logprob", logprob}, {"bytes", std::move(bytes)}};
  }
  Json chat_logprobs(const std::vector<TokenLogprobs>& tokens) const {
    Json content = Json::array();
    for (const TokenLogprobs& token : tokens) {
      Json json = chat_token(token.id, token.logprob);
      json["top_logprobs"] = Json::array();
      for (const auto& [id, logprob] : token.top) {
        json["top_logprobs"].push_back(chat_token(id, logprob));
      }
      content.push_back(std::move(json));
    }
    return {{"content", std::move(content)}, {"refusal", nullptr}};
  }
  Json completion_logprobs(Choice& choice, const std::vector<TokenLogprobs>& tokens) const {
    Json json = {{"tokens", Json::array()},
                 {"token_logprobs", Json::array()},
                 {"top_logprobs", Json::array()},
                 {"text_offset", Json::array()}};
    for (const TokenLogprobs& token : tokens) {
      Json top = Json::object();
      for (const auto& [id, logprob] : token.top) {
        top[token_text(id)] = logprob;
      }
      json["tokens"].push_back(token_text(token.id));
      json["token_logprobs"].push_back(token.logprob);
      json["top_logprobs"].push_back(std::move(top));
      json["text_offset"].push_back(choice.offset);
      choice.offset += static_cast<int64_t>(tokenizer_.piece(token.id).size());
    }
    return json;
  }

  Json usage() const {
    int64_t prompt = 0, cached = 0, replayed = 0, generated = 0;
    for (size_t i = 0; i < choices_.size(); ++i) {
      const Usage& usage = choices_[i].result.usage;
      if (i % static_cast<size_t>(options_.choices_per_prompt) == 0) {
        prompt += usage.prompt_tokens;
        cached += usage.cached_tokens;
        replayed += usage.replayed_tokens;
      }
      generated += static_cast<int64_t>(choices_[i].result.ids.size());
    }
    return {{"prompt_tokens", prompt},
            {"completion_tokens", generated},
            {"total_tokens", prompt + generated},
            {"prompt_tokens_details", {{"cached_tokens", cached}, {"replayed_tokens", replayed}}}};
  }

  std::shared_ptr<Exchange> exchange_;
  const Tokenizer& tokenizer_;
  const OpenAiAnswerOptions options_;
  std::vector<Choice> choices_;
  const std::string id_;
  const int64_t created_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> make_openai_answer(std::shared_ptr<Exchange> exchange,
                                                 const Tokenizer& tokenizer,
                                                 OpenAiAnswerOptions options) {
  return std::make_unique<OpenAiAnswer>(std::move(exchange), tokenizer, std::move(options));
}

}  // namespace mm
