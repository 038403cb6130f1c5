/// What a step tells the model besides its weights: ids, positions, places in the cache.
#pragma once

#include <cstdint>
#include <span>

#include "engine/executor.h"
#include "model/batch.h"

namespace mm {

/// One block of i32 on the host and, for an accelerator, one there: a step is one copy. Every array
/// has its place in the block for good, the widest one last.
class StepInputs {
 public:
  /// For steps of an executor with these options over `pages` pages.
  StepInputs(const ExecutorOptions& options, int64_t pages);

  /// Writes the parts of a step, queues their copy and points `views` at slots and block table.
  /// The copy of the step before must be done. MM_CHECKs that the parts fit.
  Batch write(std::span<const StepRows> parts, CacheViews& views);

 private:
  /// An array of the block; positions in elements.
  struct Field {
    int64_t begin = 0;
    int64_t size = 0;
  };

  Field add_field(int64_t size);
  int32_t* host(const Field& field) const { return host_.ptr<int32_t>() + field.begin; }
  TensorView view(const Field& field, int64_t size) const;
  TensorView write_block_table(std::span<const StepRows> parts) const;

  Device device_;
  int64_t end_ = 0;
  Field ids_, positions_, offsets_, starts_, slots_, logit_rows_, block_table_;
  Tensor host_;
  Tensor there_;  // empty where steps run on the host
};

}  // namespace mm
