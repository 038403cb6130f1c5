/// From a checkpoint in float to one in int8, fp8 or int4, tensor by tensor.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/thread_pool.h"

namespace mm {

/// How to quantise. Attention and expert matrices are quantised; norms and routers stay as stored;
/// embedding and head too unless asked for.
struct QuantizeOptions {
  std::string format = "int8";  ///< "int8", "fp8" (e4m3): per output channel; "int4": in groups
  int group_size = 128;         ///< int4: 32, 64 or 128 columns per scale
  bool quantize_embeddings = false;     ///< embedding and head as int8 per row, in all formats
  int64_t shard_bytes = 4'000'000'000;  ///< larger outputs are split
  std::function<void(int64_t done, int64_t total)> progress = {};  ///< bytes read; may be empty
};

/// What became of the weights of one kind.
struct QuantizeClass {
  std::string name;    ///< "experts", "attention", …
  std::string format;  ///< "int8", "fp8", "int4 g128", or the stored type when kept
  int64_t tensors = 0;
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;  ///< scales included
  double relative_rms = 0;  ///< sqrt(Σ (w - ŵ)² / Σ w²); 0 when kept
  double max_error = 0;     ///< max |w - ŵ|
};

struct QuantizeReport {
  std::vector<QuantizeClass> classes;
  /// Matrices that stayed in float because their columns are no multiple of the group size.
  std::vector<std::string> kept;
  int64_t bytes_before = 0;
  int64_t bytes_after = 0;
};

/// Reads the folder `from` and writes the folder `to` in the compressed-tensors conventions, under
/// the original weight names, with the tokenizer and generation files copied and the other keys of
/// config.json kept. Peak memory is a slice of one tensor beside the mapped input. `to` appears
/// when it is whole; it must not exist, or be empty, and not lie inside `from`. The result does
/// not depend on the number of threads.
/// Throws kBadInput (bad options, folders, infinite weights), kUnsupported when the input is
/// already quantised, kIo, and what load_model throws.
QuantizeReport quantize_checkpoint(const std::string& from, const std::string& to,
                                   const QuantizeOptions& options, ThreadPool& pool);

}  // namespace mm
