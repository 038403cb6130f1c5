#include "chat_contexts.h"

#include <algorithm>

#include "base/error.h"
#include "context_files.h"
#include "model/model_hash.h"

namespace mm::cli {

ContextBinding ChatContexts::binding() {
  if (model_hash_.empty()) {
    model_hash_ = hash_model_folder(session_.folder);
  }
  return context_binding(engine_, model_hash_);
}

const TurnFrame& ChatContexts::frame() {
  if (!frame_) {
    frame_ = find_turn_frame(prompts_);
  }
  return *frame_;
}

AppendResult ChatContexts::save(const std::string& name, const std::vector<int32_t>& ids,
                                const AppendOptions& options) {
  check_context_name(name);
  const ContextStore contexts = open_store(folder_);
  const ContextBinding bound = binding();
  const bool exists = contexts.exists(name);
  ContextWriter writer =
      exists
          ? contexts.open_writer(name, bound)
          : contexts.create(name, {.binding = bound,
                                   .backend = engine_.backend_name(),
                                   .codec = make_state_codec(session_.model, StateFormat::kF32, 0),
                                   .metadata = {{"model", session_.folder}}});
  ContextNotes notes = ContextNotes::read(writer.manifest());
  std::optional<ContextReader> stored;
  if (exists) {
    stored.emplace(contexts.open_reader(name, bound));
    const std::vector<int32_t> there = stored->tokens();
    if (notes.raw || there.size() > ids.size() ||
        !std::equal(there.begin(), there.end(), ids.begin())) {
      bad_input(
          "context {} exists already, with other content; choose another name, or remove it with "
          "`minimax context rm {}`",
          name, name);
    }
  }
  notes.turn_is_open = false;
  return append_to_context(engine_, writer, stored ? &*stored : nullptr, ids,
                           with_notes(options, writer, ids, notes));
}

LoadedChat ChatContexts::load(const std::string& name) {
  const ContextStore contexts = open_store(folder_);
  const ContextManifest manifest = contexts.show(name);
  check_complete(name, manifest);
  const ContextNotes notes = ContextNotes::read(manifest);
  if (notes.raw) {
    bad_input("context {} is raw text without turns; ask it with `minimax context ask {}`", name,
              name);
  }
  frame();  // says now what would keep the next turn from being added
  const ContextReader reader = contexts.open_reader(name, binding());
  // What was loaded stays cached when this ends; the next prompt begins with it.
  const LoadedContext loaded(engine_, reader, reader.token_count());
  return {reader.tokens(), notes.turn_is_open};
}

}  // namespace mm::cli
