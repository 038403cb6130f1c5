/// Answers in the form of Anthropic's Messages, whole or as events.
#pragma once

#include <memory>
#include <string>

#include "serve/answer_parser.h"
#include "serve/generation_job.h"

namespace mm {

struct AnthropicAnswerOptions {
  bool stream = false;
  int64_t prompt_tokens = 0;  ///< told at the beginning of a stream
  std::string model;
  AnswerParserOptions parser;
};

/// Of one choice.
std::unique_ptr<AnswerWriter> make_anthropic_answer(std::shared_ptr<Exchange> exchange,
                                                    AnthropicAnswerOptions options);

}  // namespace mm
