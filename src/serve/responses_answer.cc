#include "serve/responses_answer.h"

#include <utility>

#include "serve/answer_text.h"

namespace mm {

namespace {

/// What differs between the two kinds of items that hold text.
struct TextForm {
  const char* item;    // the item's type
  const char* prefix;  // of its id
  const char* part;    // the type of its only part
  const char* event;   // what its deltas are called
};
constexpr TextForm kMessage{"message", "msg_", "output_text", "response.output_text"};
constexpr TextForm kReasoning{"reasoning", "rs_", "reasoning_text", "response.reasoning_text"};

Json make_part(const TextForm& form, const std::string& text) {
  Json part = {{"type", form.part}, {"text", text}};
  if (&form == &kMessage) {
    part["annotations"] = Json::array();
    part["logprobs"] = Json::array();
  }
  return part;
}

Json make_item(const TextForm& form, const std::string& id, const char* status, Json content) {
  Json item = {{"id", id}, {"type", form.item}, {"status", status}};
  if (&form == &kMessage) {
    item["role"] = "assistant";
  } else {
    item["summary"] = Json::array();
  }
  item["content"] = std::move(content);
  return item;
}

class ResponsesAnswer final : public AnswerWriter {
 public:
  ResponsesAnswer(std::shared_ptr<Exchange> exchange, const Tokenizer& tokenizer,
                  ResponsesAnswerOptions options)
      : exchange_(std::move(exchange)),
        tokenizer_(tokenizer),
        options_(std::move(options)),
        parser_(options_.parser),
        id_(make_answer_id("resp_")),
        created_(unix_seconds()) {}

  void begin() override {
    if (!options_.stream) {
      return;
    }
    exchange_->begin(event_stream_head(": keep-alive\n\n"));
    begun_ = true;
    write("response.created", {{"response", response("in_progress")}});
    write("response.in_progress", {{"response", response("in_progress")}});
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
    const bool is_cut = result_.reason == FinishReason::kLength;
    if (form_ == nullptr && output_.empty()) {
      open_item(kMessage);  // an empty answer is a message too
    }
    const char* status = is_cut ? "incomplete" : "completed";
    close_item(status);
    if (is_cut) {
      incomplete_ = {{"reason", "max_output_tokens"}};
    }
    usage_ = usage();
    if (!options_.stream) {
      HttpResponse head;
      head.body = dump_json(response(status));
      exchange_->respond(std::move(head));
      return;
    }
    write(is_cut ? "response.incomplete" : "response.completed", {{"response", response(status)}});
    finish_stream();
  }

  void fail(const ApiError& error) override {
    if (!begun_) {
      exchange_->respond(error_response(error));
      return;
    }
    // The API lists the codes that may stand here: of ours only what is the server's fault gets
    // here.
    error_ = {{"code", "server_error"}, {"message", error.message}};
    write("response.failed", {{"response", response("failed")}});
    finish_stream();
  }

 private:
  bool write(const char* type, const Json& fields) {
    Json event = {{"type", type}, {"sequence_number", sequence_++}};
    event.update(fields);
    return exchange_->write(sse_event(event));
  }
  void finish_stream() {
    exchange_->write("data: [DONE]\n\n");
    exchange_->finish();
  }

  /// Keeps the parts of an answer, and writes those of a stream. False: nobody listens.
  bool add(const std::vector<AnswerPart>& parts) {
    bool heard = true;
    for (const AnswerPart& part : parts) {
      if (part.kind == AnswerPart::Kind::kToolCall) {
        heard = add_call(part.call);
      } else {
        heard = add_text(part.kind == AnswerPart::Kind::kText ? kMessage : kReasoning, part.text);
      }
    }
    return heard;
  }

  bool add_text(const TextForm& form, const std::string& text) {
    if (form_ != &form) {
      close_item("completed");
      open_item(form);
    }
    text_ += text;
    if (&form == &kReasoning) {
      thoughts_ += text;
    }
    return write_text(".delta", "delta", text);
  }

  bool add_call(const ToolCall& call) {
    close_item("completed");
    Json item = {{"id", make_answer_id("fc_")}, {"type", "function_call"},
                 {"status", "in_progress"},     {"call_id", make_answer_id("call_")},
                 {"name", call.name},           {"arguments", ""}};
    write_item("response.output_item.added", item);
    const Json place = {{"item_id", item["id"]}, {"output_index", output_.size()}};
    write_more("response.function_call_arguments.delta", place, "delta", call.arguments);
    write_more("response.function_call_arguments.done", place, "arguments", call.arguments);
    item["status"] = "completed";
    item["arguments"] = call.arguments;
    const bool heard = write_item("response.output_item.done", item);
    output_.push_back(std::move(item));
    return heard;
  }

  void open_item(const TextForm& form) {
    form_ = &form;
    item_id_ = make_answer_id(form.prefix);
    text_.clear();
    write_item("response.output_item.added",
               make_item(form, item_id_, "in_progress", Json::array()));
    write_more("response.content_part.added", place(), "part", make_part(form, ""));
  }
  void close_item(const char* status) {
    if (form_ == nullptr) {
      return;
    }
    const TextForm& form = *form_;
    write_text(".done", "text", text_);
    const Json part = make_part(form, text_);
    write_more("response.content_part.done", place(), "part", part);
    Json item = make_item(form, item_id_, status, Json::array({part}));
    write_item("response.output_item.done", item);
    output_.push_back(std::move(item));
    form_ = nullptr;
  }

  /// Where the open item's only part is.
  Json place() const {
    return {{"item_id", item_id_}, {"output_index", output_.size()}, {"content_index", 0}};
  }
  bool write_item(const char* type, const Json& item) {
    return !options_.stream || write(type, {{"output_index", output_.size()}, {"item", item}});
  }
  bool write_more(const char* type, Json fields, const char* name, Json value) {
    fields[name] = std::move(value);
    return !options_.stream || write(type, fields);
  }
  bool write_text(const char* suffix, const char* name, const std::string& text) {
    if (!options_.stream) {
      return true;
    }
    Json fields = place();
    fields[name] = text;
    if (form_ == &kMessage) {
      fields["logprobs"] = Json::array();
    }
    return write((std::string(form_->event) + suffix).c_str(), fields);
  }

  Json response(const char* status) const {
    Json json = {{"id", id_},
                 {"object", "response"},
                 {"created_at", created_},
                 {"status", status},
                 {"access_programs", nullptr},
                 {"background", false},
                 {"error", error_},
                 {"incomplete_details", incomplete_},
                 {"output", output_},
                 {"previous_response_id", nullptr},
                 {"reasoning", {{"effort", nullptr}, {"summary", nullptr}}},
                 {"store", false},
                 {"text", {{"format", {{"type", "text"}}}}},
                 {"truncation", "disabled"},
                 {"usage", usage_}};
    json.update(options_.echo);
    return json;
  }

  Json usage() const {
    const int64_t generated = static_cast<int64_t>(result_.ids.size());
    const size_t thoughts = thoughts_.empty() ? 0 : tokenizer_.encode(thoughts_).size();
    return {{"input_tokens", result_.usage.prompt_tokens},
            {"input_tokens_details",
             {{"cached_tokens", result_.usage.cached_tokens},
              {"cache_write_tokens", 0},  // counted where writing costs extra: not here
              {"replayed_tokens", result_.usage.replayed_tokens}}},
            {"output_tokens", generated},
            {"output_tokens_details", {{"reasoning_tokens", thoughts}}},
            {"total_tokens", result_.usage.prompt_tokens + generated}};
  }

  std::shared_ptr<Exchange> exchange_;
  const Tokenizer& tokenizer_;
  const ResponsesAnswerOptions options_;
  AnswerParser parser_;
  const std::string id_;
  const int64_t created_;
  GenerationResult result_;
  Json output_ = Json::array();  // items that are done
  Json error_, incomplete_, usage_;
  const TextForm* form_ = nullptr;  // of the item that goes on; null: none
  std::string item_id_;
  std::string text_;      // of that item
  std::string thoughts_;  // of all items
  int64_t sequence_ = 0;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<AnswerWriter> make_responses_answer(std::shared_ptr<Exchange> exchange,
                                                    const Tokenizer& tokenizer,
                                                    ResponsesAnswerOptions options) {
  return std::make_unique<ResponsesAnswer>(std::move(exchange), tokenizer, std::move(options));
}

}  // namespace mm
