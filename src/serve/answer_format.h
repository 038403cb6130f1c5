/// What a request wants its answers to be: anything, JSON, JSON of a schema, texts of a grammar,
/// calls of tools.
#pragma once

#include <cstdint>
#include <string>

#include "engine/request.h"
#include "serve/json_fields.h"

namespace mm {

struct AnswerFormat {
  enum class Kind : uint8_t { kAny, kJsonObject, kJsonSchema, kGrammar, kCalls };
  Kind kind = Kind::kAny;
  std::string text = {};   ///< the schema, as JSON, or the grammar; of calls: see call_grammar.h
  std::string param = {};  ///< the field that is at fault if the text is wrong
  std::string title = {};  ///< how messages begin that say so
};

/// `response_format` and `grammar` of chats and completions. Throws ApiError 400 that names the
/// field; what the schema or grammar says is not looked at.
AnswerFormat read_answer_format(const JsonFields& body);

/// The same of Responses: `text.format`, whose schema stands beside its type, and `grammar`.
AnswerFormat read_text_format(const JsonFields& body);

/// Throws ApiError 400 for a text that would take too long to compile.
void check_size(const AnswerFormat& format);

/// Makes the request one that can keep the format. Refuses `has_tools`: a call would not be in it.
/// Bans of tokens become the strongest biases, so that what is banned is still drawn where the
/// format leaves nothing else. Throws ApiError 400.
void prepare_for_format(const AnswerFormat& format, bool has_tools, GenerationRequest& request);

}  // namespace mm
