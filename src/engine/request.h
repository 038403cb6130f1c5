/// What a caller asks of a generation.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace mm {

class Grammar;

/// How the next token is drawn. The stages run in the order of the fields.
struct SamplingParams {
  std::vector<std::pair<int32_t, float>> logit_bias;  ///< added to the logit; -inf bans
  float repetition_penalty =
      1;                       ///< > 0; divides positive and multiplies negative logits of seen ids
  float presence_penalty = 0;  ///< subtracted once from each seen generated id
  float frequency_penalty = 0;  ///< subtracted per occurrence
  int penalty_window = 64;      ///< how many last tokens repetition_penalty looks at; -1: all
  float temperature = 0;        ///< 0: greedy
  int top_k = 0;                ///< 0: off
  float top_p = 1;              ///< in (0, 1]; 1: off
  float min_p = 0;              ///< in [0, 1]; 0: off
  uint64_t seed = 0;            ///< same seed, same text, whatever the threads and batch
};

/// Throws kBadInput naming the field, its value and the range.
void validate(const SamplingParams& params, int64_t vocab_size);

/// A prompt in ids and what to do with it.
struct GenerationRequest {
  std::vector<int32_t> prompt;
  int64_t known_tokens = 0;            ///< leading tokens computed before (EngineRequest)
  std::vector<int64_t> branch_points;  ///< where other prompts may depart from this one
  SamplingParams sampling;
  /// What the text must be, whole unless a limit or a stop string ends it; empty: anything. Its
  /// vocabulary must be the model's; Model::zero_rows are to be excluded from it.
  std::shared_ptr<const Grammar> grammar;
  int64_t max_tokens = -1;         ///< -1: until a stop or the context is full
  std::vector<std::string> stops;  ///< stop strings, matched on the decoded text
  std::vector<int32_t> stop_ids;   ///< end-of-sequence ids
  bool ignore_eos = false;
  bool show_special = false;            ///< special tokens appear in the text
  std::vector<int32_t> shown_ids = {};  ///< special tokens that appear in it all the same
  bool wants_logits = false;            ///< GenerationCallbacks::on_token gets them
};

enum class FinishReason : uint8_t { kStop, kLength, kContextFull, kCancelled };
/// "stop", "length", "context_full", "cancelled".
const char* to_string(FinishReason reason);

}  // namespace mm
