#include "engine/context_plan.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace mm {

namespace {

[[noreturn]] void refuse_other_content(const std::string& name) {
  throw ContextConflict(
      fmt::format("context {} exists already, with other content; append to it, remove it with "
                  "`minimax context rm {}`, or choose another name",
                  name, name));
}

}  // namespace

PlannedWrite plan_create(const ContextStore& store, const std::string& name,
                         const NewContext& context, std::vector<int32_t> tokens, bool raw) {
  if (!store.exists(name)) {
    PlannedWrite plan{.writer = store.create(name, context)};
    plan.tokens = std::move(tokens);
    plan.notes.raw = raw;
    return plan;
  }
  PlannedWrite plan{.writer = store.open_writer(name, context.binding)};
  plan.stored.emplace(store.open_reader(name, context.binding));
  plan.notes = ContextNotes::read(plan.writer.manifest());
  if (plan.notes.pending_tokens == 0) {
    plan.is_done = plan.stored->tokens() == tokens;
  }
  const bool goes_on = plan.notes.pending_tokens > 0 && plan.notes.pending_begin == 0 &&
                       plan.notes.pending_hash == hash_tokens(tokens);
  if (!plan.is_done && !goes_on) {
    refuse_other_content(name);
  }
  plan.tokens = std::move(tokens);
  plan.notes.raw = raw;
  return plan;
}

std::string appended_text(const ContextNotes& notes, const TurnFrame* frame,
                          const std::string& text) {
  return notes.raw || notes.turn_is_open ? text : frame->between + text;
}

PlannedWrite plan_append(const ContextStore& store, const std::string& name, ContextWriter writer,
                         const std::vector<int32_t>& added) {
  PlannedWrite plan{.writer = std::move(writer)};
  const ContextManifest& manifest = plan.writer.manifest();
  plan.stored.emplace(store.open_reader(name, manifest.binding));
  plan.notes = ContextNotes::read(manifest);
  plan.tokens = plan.stored->tokens();
  const bool interrupted = plan.notes.pending_tokens > 0;
  if (interrupted) {
    plan.tokens.resize(
        static_cast<size_t>(std::min(plan.notes.pending_begin, manifest.token_count())));
  }
  plan.tokens.insert(plan.tokens.end(), added.begin(), added.end());
  if (interrupted && plan.notes.pending_hash != hash_tokens(plan.tokens)) {
    check_complete(name, manifest);
  }
  plan.notes.turn_is_open = true;
  return plan;
}

}  // namespace mm
