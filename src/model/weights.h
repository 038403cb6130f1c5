/// From a checkpoint folder to a Model, through one table of weights.
#pragma once

#include <string>

#include "model/model.h"

namespace mm {

/// Reads a folder's config.json and logs its unknown keys once. Throws kNotFound when the folder
/// or the file does not exist, and what read_config throws.
ConfigFile read_config_file(const std::string& folder);

/// Maps a Hugging Face folder (config.json + model.safetensors or shards with an index) in any of
/// the dialects of docs/formats.md. Weights stay where they are mapped, in their stored format.
/// Touches no page of a matrix but one per row of the embedding (zero_rows.h). A tied model may
/// store its head as well if it equals the embedding.
/// Throws kNotFound, kBadInput (file, tensor, expected, found) or kUnsupported.
Model load_model(const std::string& folder);

/// A model of this shape with reproducible random weights (bench, tests). `format` is "bf16",
/// "f32", "int8", "fp8" or "int4"; embeddings and head are bf16 unless quantize_embeddings.
struct RandomModelOptions {
  std::string format = "bf16";
  int group_size = 128;
  bool quantize_embeddings = false;
  uint64_t seed = 1;
};
Model make_random_model(const ModelConfig& config, const RandomModelOptions& options);

}  // namespace mm
