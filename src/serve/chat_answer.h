/// From what a chat asks for to how its answer is drawn and taken apart, for all APIs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "serve/answer_format.h"
#include "serve/answer_parser.h"
#include "serve/chat_fields.h"
#include "serve/served_model.h"

namespace mm {

/// The text that the model reads. Where calls must come it ends with their opening.
/// Throws ApiError 400 when the model has no chat template.
std::string render_chat(const ChatFields& chat, const ServedModel& model);
/// Its ids.
std::vector<int32_t> encode_chat(const ChatFields& chat, const ServedModel& model);

struct ChatAnswer {
  AnswerFormat format;
  AnswerParserOptions parser;
};

/// The format of the answer, `asked` or the calls that must come, and how to take it apart: that of
/// an asked format is what it is, whatever stands in it. Makes the request one that can keep the
/// format. Throws ApiError 400 for an asked format beside tools that may be called.
ChatAnswer prepare_chat_answer(const ChatFields& chat, AnswerFormat asked, const ServedModel& model,
                               GenerationRequest& request);

}  // namespace mm
