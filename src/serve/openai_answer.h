/// Answers in the form of OpenAI's completions and chat completions, whole or as events.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "serve/answer_parser.h"
#include "serve/generation_job.h"
#include "text/tokenizer.h"

namespace mm {

struct OpenAiAnswerOptions {
  bool chat = false;  ///< messages and deltas, not texts
  bool stream = false;
  bool include_usage = false;
  bool logprobs = false;
  int choices_per_prompt = 1;  ///< a prompt counts once in the usage, whatever its choices
  size_t choices = 1;
  bool named_call = false;  ///< the request named the tool to call
  std::string model;
  AnswerParserOptions parser;  ///< of chats: thoughts and calls in the text
};

std::unique_ptr<AnswerWriter> make_openai_answer(std::shared_ptr<Exchange> exchange,
                                                 const Tokenizer& tokenizer,
                                                 OpenAiAnswerOptions options);

}  // namespace mm
