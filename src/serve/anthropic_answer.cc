#include "serve/anthropic_answer.h"

#include "serve/answer_text.h"

namespace mm {

namespace {

class AnthropicAnswer final : public AnswerWriter {
 public:
  AnthropicAnswer(std::shared_ptr<Exchange> exchange, AnthropicAnswerOptions options)
      : exchange_(std::move(exchange)),
        options_(std::move(options)),
        parser_(options_.parser),
        id_(make_answer_id("msg_")) {}

  void begin() override {
    if (!options_.stream) {
      return;
    }
    exchange_->begin(event_stream_head(sse_event({{"type", "ping"}})));
    begun_ = true;
    write({{"type", "message_start"}, {"message", message(Json(), 0)}});
  }

  void progress(int64_t, int64_t) override {}  // the API has no form for it

  bool text(size_t, const std::string& piece, const std::vector<TokenLogprobs>&) override {
    return add(parser_.push(piece)) && !parser_.done();
  }

  void end(size_t, const GenerationResult& result, const std::vector<TokenLogprobs>&) override {
    result_ = result;
    add(parser_.finish());
  }

  void finish() override {
    if (!options_.stream) {
      HttpResponse response;
      response.body = dump_json(message(stop_reason(), static_cast<int64_t>(result_.ids.size())));
      exchange_->respond(std::move(response));
      return;
    }
    close_block();
    write({{"type", "message_delta"},
           {"delta",
            {{"stop_reason", stop_reason()},
             {"stop_sequence", stop_sequence()},
             {"stop_details", nullptr},
             {"container", nullptr}}},
           {"usage", usage(static_cast<int64_t>(result_.ids.size()))}});
    write({{"type", "message_stop"}});
    exchange_->finish();
  }

  void fail(const ApiError& error) override {
    if (!begun_) {
      exchange_->respond(error_response(error, "/v1/messages"));
      return;
    }
    write(anthropic_error_json(error));
    exchange_->finish();
  }

 private:
  bool write(const Json& event) { return exchange_->write(sse_event(event)); }

  /// Keeps the parts of a whole answer, writes those of a stream. False: nobody listens.
  bool add(const std::vector<AnswerPart>& parts) {
    bool heard = true;
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::Kind::kToolCall) {
        heard = add_call(part.call);
      } else {
        heard = add_text(part.kind == AnswerPart::Kind::kText, part.text);
      }
    }
    return heard;
  }

  bool add_text(bool is_text, const std::string& text) {
    const char* type = is_text ? "text" : "thinking";
    if (open_ != type) {
      close_block();
      Json block = {{"type", type}, {type, ""}};
      if (is_text) {
        block["citations"] = nullptr;
      } else {
        block["signature"] = "";
      }
      open_block(std::move(block), type);
    }
    if (!options_.stream) {
      content_.back()[type].get_ref<std::string&>() += text;
      return true;
    }
    return write({{"type", "content_block_delta"},
                  {"index", blocks_ - 1},
                  {"delta", {{"type", is_text ? "text_delta" : "thinking_delta"}, {type, text}}}});
  }

  bool add_call(const ToolCall& call) {
    close_block();
    Json block = {{"type", "tool_use"},
                  {"id", make_answer_id("toolu_")},
                  {"name", call.name},
                  {"caller", {{"type", "direct"}}},
                  {"input", Json::object()}};
    if (!options_.stream) {
      block["input"] = Json::parse(call.arguments);
    }
    open_block(std::move(block), "tool_use");
    const bool heard =
        !options_.stream ||
        write({{"type", "content_block_delta"},
               {"index", blocks_ - 1},
               {"delta", {{"type", "input_json_delta"}, {"partial_json", call.arguments}}}});
    close_block();
    return heard;
  }

  void open_block(Json block, const char* type) {
    open_ = type;
    if (options_.stream) {
      write({{"type", "content_block_start"},
             {"index", blocks_},
             {"content_block", std::move(block)}});
    } else {
      content_.push_back(std::move(block));
    }
    ++blocks_;
  }
  void close_block() {
    if (!open_.empty() && options_.stream) {
      write({{"type", "content_block_stop"}, {"index", blocks_ - 1}});
    }
    open_.clear();
  }

  Json message(Json reason, int64_t generated) const {
    Json counts = usage(generated);
    for (const char* absent : {"cache_creation", "inference_geo", "service_tier", "speed"}) {
      counts[absent] = nullptr;
    }
    return {{"id", id_},
            {"type", "message"},
            {"role", "assistant"},
            {"model", options_.model},
            {"content", content_},
            {"stop_reason", std::move(reason)},
            {"stop_sequence", stop_sequence()},
            {"stop_details", nullptr},
            {"container", nullptr},
            {"diagnostics", nullptr},
            {"usage", std::move(counts)}};
  }

  const char* stop_reason() const {
    if (parser_.calls() > 0 && (result_.reason == FinishReason::kStop || parser_.done())) {
      return "tool_use";
    }
    if (result_.reason != FinishReason::kStop) {
      return "max_tokens";
    }
    return result_.stop.empty() ? "end_turn" : "stop_sequence";
  }
  Json stop_sequence() const { return result_.stop.empty() ? Json() : Json(result_.stop); }

  /// What the cache spared is counted apart, as Anthropic does. Before the end nothing is known of
  /// it.
  Json usage(int64_t generated) const {
    const int64_t cached = result_.usage.cached_tokens;
    return {{"input_tokens", options_.prompt_tokens - cached},
            {"cache_creation_input_tokens", 0},
            {"cache_read_input_tokens", cached},
            {"output_tokens", generated},
            {"output_tokens_details", nullptr},
            {"server_tool_use", nullptr}};
  }

  std::shared_ptr<Exchange> exchange_;
  const AnthropicAnswerOptions options_;
  AnswerParser parser_;
  const std::string id_;
  GenerationResult result_;
  Json content_ = Json::array();
  std::string open_;  // the type of the block that goes on
  int64_t blocks_ = 0;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> make_anthropic_answer(std::shared_ptr<Exchange> exchange,
                                                    AnthropicAnswerOptions options) {
  return std::make_unique<AnthropicAnswer>(std::move(exchange), std::move(options));
}

}  // namespace mm
