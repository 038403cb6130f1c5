/// Answers that consist of calls of tools, as a grammar.
///
/// The grammar is of what follows the opening of the calls: the prompt ends with that, so that the
/// model finds it as it has learnt it, a marker as one token too.
#pragma once

#include <memory>

#include "serve/answer_format.h"
#include "serve/tool_choice.h"
#include "text/grammar.h"

namespace mm {

/// The format of an answer that meets the demand, which is not empty. `closes`: whether the calls'
/// closing is written as text; else a token stands for it, which ends the answer.
/// Throws ApiError 400 when the schemas are too long.
AnswerFormat make_call_format(const CallDemand& demand, bool closes);

/// Compiles such a format: calls one a line, or one call alone, with arguments that are objects of
/// the tools' schemas. Throws ApiError 400 for a schema that cannot be enforced, naming the tool,
/// the keyword and its place; kTooLarge.
std::shared_ptr<const Grammar> compile_call_format(const AnswerFormat& format,
                                                   std::shared_ptr<const TokenTrie> trie);

}  // namespace mm
