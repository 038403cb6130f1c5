/// Answers in the form of OpenAI's Responses, whole or as events.
#pragma once

#include <memory>
#include <string>

#include "base/json_value.h"
#include "serve/answer_parser.h"
#include "serve/generation_job.h"
#include "text/tokenizer.h"

namespace mm {

struct ResponsesAnswerOptions {
  bool stream = false;
  Json echo = Json::object();  ///< members that the answer repeats from its request
  AnswerParserOptions parser;
};

/// Of one choice. `tokenizer`, which counts the tokens of thoughts, must outlive it.
std::unique_ptr<AnswerWriter> make_responses_answer(std::shared_ptr<Exchange> exchange,
                                                    const Tokenizer& tokenizer,
                                                    ResponsesAnswerOptions options);

}  // namespace mm
