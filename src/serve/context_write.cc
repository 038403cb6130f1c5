#include "serve/context_write.h"

#include <fmt/format.h>

#include <optional>
#include <utility>
#include <vector>

#include "base/error.h"
#include "engine/context_plan.h"
#include "serve/answer_text.h"
#include "serve/api_error.h"
#include "serve/chat_fields.h"
#include "serve/context_object.h"
#include "serve/context_write_job.h"
#include "serve/json_fields.h"

namespace mm {

namespace {

/// `text`, or `documents` with a blank line between each two.
std::string read_text(const JsonFields& body) {
  const std::optional<std::string> text = body.text("text");
  const std::optional<std::vector<JsonView>> documents = body.list("documents");
  if (text && documents) {
    throw field_error("documents", "text and documents are both given, expected one of them");
  }
  std::string all = text.value_or("");
  for (size_t i = 0; documents && i < documents->size(); ++i) {
    const std::string path = fmt::format("documents[{}]", i);
    if (!(*documents)[i].is_string()) {
      throw field_error(path, path + " is no string");
    }
    all += i > 0 ? "\n\n" : "";
    all += (*documents)[i].as_string(path);
  }
  if (all.empty()) {
    throw field_error(documents ? "documents" : "text", "there is no text to write");
  }
  return all;
}

ContextWriteOptions read_options(const JsonFields& body) {
  constexpr int64_t kMost = int64_t{1} << 30;
  ContextWriteOptions options;
  options.stream = body.boolean("stream").value_or(false);
  options.segment_tokens = body.integer("checkpoint_every", kContextBlock, kMost).value_or(0);
  if (options.segment_tokens % kContextBlock != 0) {
    body.refuse("checkpoint_every", fmt::format("a multiple of {}", kContextBlock));
  }
  return options;
}

void check_name(const std::string& name) {
  try {
    check_context_name(name);
  } catch (const Error& error) {
    throw field_error("name", error.what());
  }
}

/// One that fills all the room could be asked nothing.
void check_room(const std::string& name, size_t tokens, const ServedModel& model) {
  if (static_cast<int64_t>(tokens) >= model.context_size) {
    raise(ErrorKind::kTooLarge, "context {} would have {} tokens, this server has room for {} (-c)",
          name, tokens, model.context_size);
  }
}

/// Nothing is left to do.
void answer_done(Exchange& exchange, const ContextWriteOptions& options,
                 const ContextManifest& manifest) {
  Json context = written_context(options.name, manifest, {});
  HttpResponse response;
  if (options.stream) {
    response = event_stream_head("");
    exchange.begin(std::move(response));
    exchange.write(sse_data({{"context", std::move(context)}}));
    exchange.write("data: [DONE]\n\n");
    exchange.finish();
    return;
  }
  response.body = dump_json(context);
  exchange.respond(std::move(response));
}

}  // namespace

void create_context(const std::shared_ptr<ServerState>& state, const ContextStore& store,
                    const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  const JsonDocument document = parse_body(request.body);
  const JsonFields body(document.root());
  body.required("name");
  ContextWriteOptions options = read_options(body);
  options.name = *body.text("name");
  options.status = 201;
  check_name(options.name);
  std::string text = read_text(body);
  const bool raw = body.boolean("raw").value_or(model.prompts == nullptr);
  if (!raw) {
    text.insert(0, find_turn_frame(chat_prompts(model)).before);
  }
  std::vector<int32_t> tokens = model.tokenizer->encode(text);
  check_room(options.name, tokens.size(), model);
  auto plan = std::make_unique<PlannedWrite>(plan_create(store, options.name,
                                                         {.binding = model.binding,
                                                          .backend = model.backend,
                                                          .codec = {},
                                                          .metadata = {{"model", model.folder}}},
                                                         std::move(tokens), raw));
  if (plan->is_done) {
    answer_done(*exchange, options, plan->writer.manifest());
    return;
  }
  start_context_write(state, exchange, std::move(plan), std::move(options));
}

void append_context(const std::shared_ptr<ServerState>& state, const ContextStore& store,
                    const std::string& name, const HttpRequest& request,
                    const std::shared_ptr<Exchange>& exchange) {
  const ServedModel& model = state->ready();
  const JsonDocument document = parse_body(request.body);
  const JsonFields body(document.root());
  ContextWriteOptions options = read_options(body);
  options.name = name;
  const std::string text = read_text(body);
  ContextWriter writer = store.open_writer(name, model.binding);
  const ContextNotes notes = ContextNotes::read(writer.manifest());
  std::optional<TurnFrame> frame;
  if (!notes.raw) {
    frame = find_turn_frame(chat_prompts(model));
  }
  const std::vector<int32_t> added =
      model.tokenizer->encode(appended_text(notes, frame ? &*frame : nullptr, text));
  auto plan = std::make_unique<PlannedWrite>(plan_append(store, name, std::move(writer), added));
  check_room(name, plan->tokens.size(), model);
  start_context_write(state, exchange, std::move(plan), std::move(options));
}

}  // namespace mm
