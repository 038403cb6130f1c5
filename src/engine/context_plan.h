/// What is to be written into a durable context, decided by what it holds already: begun anew, or
/// gone on with where an interrupted write stopped.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/context_notes.h"
#include "engine/turn_frame.h"

namespace mm {

/// The context's lock is held as long as this lives.
struct PlannedWrite {
  ContextWriter writer;
  std::optional<ContextReader> stored = {};  ///< none: a new context
  std::vector<int32_t> tokens = {};          ///< of the whole context when it is finished
  ContextNotes notes = {};                   ///< of the finished context
  bool is_done = false;                      ///< an earlier write did all of it

  const ContextReader* reader() const { return stored ? &*stored : nullptr; }
};

/// A new context of `tokens`, or the rest of one that was begun with the same ones. `raw`: they are
/// of no chat template. Throws ContextConflict if the name has other content or another writer, and
/// what ContextStore throws.
PlannedWrite plan_create(const ContextStore& store, const std::string& name,
                         const NewContext& context, std::vector<int32_t> tokens, bool raw);

/// What a context's end needs before `text` so that it goes on there: in the user's turn, which is
/// opened if it was closed. `frame` may be null for a raw context.
std::string appended_text(const ContextNotes& notes, const TurnFrame* frame,
                          const std::string& text);

/// `added` (the ids of appended_text()) at the end of the context that `writer` has opened, or the
/// rest of the same append, interrupted. Throws kBadInput if another append was interrupted, and
/// what ContextStore throws.
PlannedWrite plan_append(const ContextStore& store, const std::string& name, ContextWriter writer,
                         const std::vector<int32_t>& added);

}  // namespace mm
