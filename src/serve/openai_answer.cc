#include "serve/openai_answer.h"

#include <fmt/format.h>

#include <atomic>
#include <chrono>

namespace mm {

namespace {

std::string dump(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

int64_t unix_seconds() {
  return std::chrono::duration_cast<std::chrono::seconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

/// Unlike any other of this process and, by its time, of those before it.
std::string make_answer_id(const char* prefix) {
  static std::atomic<uint64_t> count = 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch().count();
  return fmt::format("{}-{:x}{:04x}", prefix, now, ++count);
}

const char* finish_reason(FinishReason reason) {
  return reason == FinishReason::kStop ? "stop" : "length";
}

/// What one choice has come to.
struct Choice {
  std::string text;
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
        choices_(options_.choices),
        id_(make_answer_id(options_.chat ? "chatcmpl" : "cmpl")),
        created_(unix_seconds()) {}

  void begin() override {
    if (!options_.stream) {
      return;
    }
    HttpResponse head;
    head.content_type = "text/event-stream";
    head.headers.push_back({"Cache-Control", "no-cache"});
    head.heartbeat = ": keep-alive\n\n";
    exchange_->begin(std::move(head));
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
    if (!options_.stream) {
      target.text += piece;
      target.tokens.insert(target.tokens.end(), tokens.begin(), tokens.end());
      return true;
    }
    return write_choice(choice, body(target, piece, tokens, nullptr));
  }

  void end(size_t choice, const GenerationResult& result,
           const std::vector<TokenLogprobs>& tokens) override {
    Choice& target = choices_[choice];
    target.result = result;
    if (options_.stream) {
      write_choice(choice, body(target, "", tokens, finish_reason(result.reason)));
    } else {
      target.tokens.insert(target.tokens.end(), tokens.begin(), tokens.end());
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
      json.update(body(choice, choice.text, choice.tokens, finish_reason(choice.result.reason)));
      all.push_back(std::move(json));
    }
    Json answer = frame(std::move(all));
    answer["usage"] = usage();
    HttpResponse response;
    response.body = dump(answer);
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

  /// The fields of a choice, or of a part of it.
  Json body(Choice& choice, const std::string& text, const std::vector<TokenLogprobs>& tokens,
            const char* reason) const {
    Json json;
    if (!options_.chat) {
      json["text"] = text;
    } else if (!options_.stream) {
      json["message"] = {{"role", "assistant"}, {"content", text}};
    } else {
      json["delta"] = text.empty() ? Json::object() : Json({{"content", text}});
    }
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
    return {{"content", std::move(content)}};
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

std::string sse_data(const Json& json) {
  return "data: " + dump(json) + "\n\n";
}

std::unique_ptr<AnswerWriter> make_openai_answer(std::shared_ptr<Exchange> exchange,
                                                 const Tokenizer& tokenizer,
                                                 OpenAiAnswerOptions options) {
  return std::make_unique<OpenAiAnswer>(std::move(exchange), tokenizer, std::move(options));
}

}  // namespace mm
