/// What a model folder's generation_config.json asks for when the caller does not.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/request.h"

namespace mm {

/// Sampling defaults and ends of sequence, from generation_config.json.
struct GenerationConfig {
  SamplingParams sampling;
  std::vector<int32_t> eos_ids;
};

/// Reads the text of a generation_config.json. `do_sample: false` means greedy, whatever else the
/// file says; without the key the file samples if it sets temperature, top_k, top_p or min_p. A
/// null counts as absent; a sampling file without a temperature means 1. Keys that concern other
/// programs are left alone. Throws kBadInput for a known key of a wrong type or out of range.
GenerationConfig parse_generation_config(std::string_view text, std::string_view source);

/// The same from a model folder; greedy and no ends of sequence when it has no such file.
GenerationConfig read_generation_config(const std::string& folder);

/// Ends of sequence of a model: those of its config, of its generation config, and, when both
/// name none, the tokenizer's (-1: it has none).
std::vector<int32_t> merge_eos_ids(const std::vector<int32_t>& from_config,
                                   const std::vector<int32_t>& from_generation_config,
                                   int32_t from_tokenizer);

}  // namespace mm
