/// Chats that go on from a durable context.
#pragma once

#include <string>
#include <vector>

#include "engine/durable_context.h"
#include "engine/prompt.h"
#include "serve/chat_fields.h"
#include "serve/generation_job.h"
#include "serve/served_model.h"

namespace mm {

/// Throws ApiError 400 unless `chat` can go on from a context, whose beginning has been said: a
/// user's and an assistant's messages in turn, the last one a user's, and no tools. `field` has the
/// messages.
void check_turns(const ChatFields& chat, const std::string& field);

/// Opens a context, gives every request of `job` the prompt that adds `turns` to it, which
/// check_turns() found sound, and has the job load it. Reads files.
/// Throws ApiError, what ContextStore::open_reader throws, and kBadInput for a context whose
/// writing was interrupted.
void go_on_from_context(const ContextStore& store, const std::string& name,
                        const std::vector<ChatMessage>& turns, const ServedModel& model,
                        GenerationJobOptions& job);

}  // namespace mm
