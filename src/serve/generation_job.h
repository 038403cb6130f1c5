/// The generations of one HTTP request, from queue to end.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/generation.h"
#include "serve/answer_format.h"
#include "serve/api_error.h"
#include "serve/logprobs.h"
#include "serve/served_model.h"

namespace mm {

/// Writes an answer in some API's form. Called on the engine's thread, in this order: begin once,
/// then progress, text and end of each choice, then finish; or fail, at any time, last of all.
class AnswerWriter {
 public:
  AnswerWriter() = default;
  virtual ~AnswerWriter() = default;
  AnswerWriter(const AnswerWriter&) = delete;
  AnswerWriter& operator=(const AnswerWriter&) = delete;

  virtual void begin() = 0;
  virtual void progress(int64_t done, int64_t total) = 0;
  /// A piece of text and the tokens that came since the last one. False: nobody listens.
  virtual bool text(size_t choice, const std::string& piece,
                    const std::vector<TokenLogprobs>& tokens) = 0;
  /// `tokens`: those that came after the last piece.
  virtual void end(size_t choice, const GenerationResult& result,
                   const std::vector<TokenLogprobs>& tokens) = 0;
  virtual void finish() = 0;
  virtual void fail(const ApiError& error) = 0;
};

struct GenerationJobOptions {
  std::vector<GenerationRequest> requests;  ///< one a choice, without grammars
  AnswerFormat format;                      ///< of all of them
  int top_logprobs = -1;                    ///< -1: no log-probabilities
  bool progress = false;                    ///< of the first choice's prompt
  /// Called before the requests are queued; what it returns is kept until they have ended. What it
  /// throws is the answer.
  std::function<std::shared_ptr<const void>(Engine&)> prepare = {};
};

/// Queues the requests, all or none, and has the answer written; returns at once: a format is
/// compiled elsewhere, and one that cannot be is told through the writer. A client that goes ends
/// them. Throws ApiError 429 when the queue is full.
void start_generation(const std::shared_ptr<ServerState>& state,
                      const std::shared_ptr<Exchange>& exchange, GenerationJobOptions options,
                      std::unique_ptr<AnswerWriter> writer);

}  // namespace mm
