#include "serve/context_chat.h"

#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "engine/context_notes.h"
#include "engine/turn_frame.h"
#include "serve/api_error.h"

namespace mm {

namespace {

/// What the turns add to a context with these notes.
std::string added_text(const std::vector<ChatMessage>& turns, const ContextNotes& notes,
                       const ServedModel& model) {
  if (notes.raw) {
    if (turns.size() != 1) {
      throw field_error("messages",
                        "messages: the context was made without a chat template, so "
                        "one message goes on from it and no conversation");
    }
    return turns.front().content;
  }
  const TurnFrame frame = find_turn_frame(chat_prompts(model));
  std::string text;
  bool is_open = notes.turn_is_open;
  for (const ChatMessage& turn : turns) {
    text += turn.role == "user" ? frame.next_turn(turn.content, is_open) : turn.content;
    is_open = false;
  }
  return text;
}

}  // namespace

void check_turns(const ChatFields& chat, const std::string& field) {
  const std::vector<ChatMessage>& turns = chat.messages;
  for (size_t i = 0; i < turns.size(); ++i) {
    const char* expected = i % 2 == 0 ? "user" : "assistant";
    if (turns[i].role != expected) {
      const std::string role = fmt::format("{}[{}].role", field, i);
      throw field_error(role, fmt::format("{} is \"{}\", expected \"{}\": after a context, user "
                                          "and assistant take turns",
                                          role, turns[i].role, expected));
    }
  }
  if (turns.size() % 2 == 0) {
    throw field_error(field, field + " ends with an answer, expected a user's message");
  }
  if (!chat.tools.told.is_null() || chat.tools.demand.form != ToolFormat::kNone) {
    throw field_error("tools", "tools cannot be added to a context that has begun");
  }
}

void go_on_from_context(const ContextStore& store, const std::string& name,
                        const std::vector<ChatMessage>& turns, const ServedModel& model,
                        GenerationJobOptions& job) {
  const auto reader = std::make_shared<const ContextReader>(store.open_reader(name, model.binding));
  check_complete(name, reader->manifest());
  std::vector<int32_t> prompt = reader->tokens();
  const std::vector<int32_t> added =
      model.tokenizer->encode(added_text(turns, ContextNotes::read(reader->manifest()), model));
  prompt.insert(prompt.end(), added.begin(), added.end());
  if (static_cast<int64_t>(prompt.size()) >= model.context_size) {
    // Before pages are read: loading what cannot be used would hold up all others.
    raise(ErrorKind::kTooLarge,
          "context {} and the messages have {} tokens, this server has room for {} (-c)", name,
          prompt.size(), model.context_size);
  }
  for (GenerationRequest& request : job.requests) {
    request.prompt = prompt;
    request.known_tokens = reader->token_count();
  }
  job.prepare = [reader](Engine& engine) {
    return std::make_shared<const LoadedContext>(engine, *reader, reader->token_count());
  };
}

}  // namespace mm
