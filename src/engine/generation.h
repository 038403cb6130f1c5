/// Text in, text out, on an Engine: what programs and servers call.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/request.h"
#include "text/tokenizer.h"

namespace mm {

/// What a generation did and how long it took.
struct GenerationResult {
  std::string text;          ///< all that on_text was given
  std::vector<int32_t> ids;  ///< generated, the stop id included if one ended it
  FinishReason reason = FinishReason::kStop;
  std::string stop;   ///< the stop string that matched, if one did
  std::string error;  ///< not empty: it failed, and why
  Usage usage;
  double prefill_seconds = 0;  ///< from submission to the end of the prompt
  double decode_seconds = 0;

  /// Tokens per second; 0 when nothing was done. Prefill counts what was not cached.
  double prefill_rate() const;
  /// The first token comes out of the prefill: decoding made ids.size() - 1.
  double decode_rate() const;
};

/// Who is told while a generation runs; any may be empty. Called from Engine::step().
struct GenerationCallbacks {
  /// Text safe to show: whole UTF-8, no possible beginning of a stop string. Returning false stops
  /// with kCancelled.
  std::function<bool(const std::string& piece)> on_text;
  /// A token of the text and, if the request wants them, the logits f32 [V] it was drawn from
  /// (valid during the call), before on_text gets what it completes.
  std::function<void(int32_t id, std::span<const float> logits)> on_token;
  /// Prompt tokens done, of all; returning false stops with kCancelled.
  std::function<bool(int64_t done, int64_t total)> on_prefill;
  /// Last of all.
  std::function<void(const GenerationResult& result)> on_end;
};

/// Queues a generation; its callbacks run during Engine::step(). `tokenizer` must outlive it.
///
/// An end-of-sequence id ends the text and is not part of it unless show_special. Vocabulary rows
/// without training (Model::zero_rows) never win.
/// With a grammar, the text is one of the grammar's: an end-of-sequence id is drawn only where it
/// is one, and where nothing else can follow the generation ends at once, with kStop. Throws
/// kTooLarge when the prompt does not fit the context, kBadInput for an empty prompt, an id outside
/// the vocabulary, sampling parameters out of range or an empty stop string.
RequestId submit_generation(Engine& engine, const Tokenizer& tokenizer,
                            const GenerationRequest& request, GenerationCallbacks callbacks);

/// Runs the engine until this generation has ended. `cancelled` is asked before every step; true
/// stops with kCancelled. Throws what submit_generation throws, kInternal if the generation failed.
GenerationResult generate(Engine& engine, const Tokenizer& tokenizer,
                          const GenerationRequest& request, GenerationCallbacks callbacks,
                          const std::function<bool()>& cancelled = {});

}  // namespace mm
