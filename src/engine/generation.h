/// Text in, text out, on one Runner: what programs call.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "engine/request.h"
#include "engine/runner.h"
#include "text/tokenizer.h"

namespace mm {

/// What a generation did and how long it took.
struct GenerationResult {
  std::string text;          ///< all that on_text was given
  std::vector<int32_t> ids;  ///< generated, the stop id included if one ended it
  FinishReason reason = FinishReason::kStop;
  std::string stop;           ///< the stop string that matched, if one did
  int64_t prompt_tokens = 0;  ///< of this request, prefilled by it
  int64_t cached_tokens = 0;  ///< already in the runner's sequence
  int64_t fed_tokens = 0;     ///< the runner's sequence now ends with the first of `ids`, this many
  double prefill_seconds = 0;
  double decode_seconds = 0;

  /// Tokens per second; 0 when nothing was done.
  double prefill_rate() const;
  /// The first token comes out of the prefill: decoding made ids.size() - 1.
  double decode_rate() const;
};

/// Who is told while a generation runs; any may be empty.
struct GenerationCallbacks {
  /// Text safe to show: whole UTF-8, no possible beginning of a stop string. Returning false stops
  /// with kCancelled.
  std::function<bool(const std::string& piece)> on_text;
  Runner::Progress on_prefill;
  /// Asked between tokens and chunks; true stops with kCancelled.
  std::function<bool()> cancelled;
};

/// Appends request.prompt to the runner's sequence and generates. The runner keeps the sequence, so
/// that a chat goes on from it: after a cancelled prefill it holds the chunks that were done.
///
/// An end-of-sequence id ends the text and is not part of it unless show_special. Vocabulary rows
/// without training (Model::zero_rows) never win.
/// Throws kTooLarge when the prompt does not fit the context, kBadInput for an empty prompt, an id
/// outside the vocabulary, or sampling parameters out of range.
GenerationResult generate(Runner& runner, const Tokenizer& tokenizer,
                          const GenerationRequest& request, const GenerationCallbacks& callbacks);

}  // namespace mm
