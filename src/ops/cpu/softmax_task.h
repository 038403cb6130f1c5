/// The units of work of softmax attention on the CPU.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ops/backend.h"
#include "ops/cpu/linear_isa.h"
#include "ops/cpu/scratch.h"
#include "ops/cpu/softmax_kernels.h"

namespace mm::cpu {

/// Keys are taken in segments at fixed absolute positions; partial results of segments are merged
/// in ascending order, whoever computed them.
constexpr int64_t kSegmentPages = 8;
constexpr int64_t kSegmentTokens = kSegmentPages * kBlockTokens;

/// A block of consecutive rows of one sequence under one kv head. Its queries are the rows' query
/// heads of that kv head, row by row.
struct SoftmaxTask {
  int64_t sequence = 0;
  int64_t kv_head = 0;
  int64_t row = 0;       ///< in the step
  int64_t position = 0;  ///< of the first row
  int64_t rows = 0;

  int64_t last_position() const { return position + rows - 1; }
  int64_t segments() const { return last_position() / kSegmentTokens + 1; }
};

/// What the queries of a task have seen so far: Σ exp(s - largest) and Σ exp(s - largest) v.
struct SoftmaxPartial {
  float* largest;  ///< [queries]
  float* total;    ///< [queries]
  float* out;      ///< [queries, padded]

  static SoftmaxPartial carve(float* block, int64_t queries, int64_t padded) {
    Carver carver(block);
    return {carver.take(queries), carver.take(queries), carver.take(queries * padded)};
  }
  static int64_t floats(int64_t queries, int64_t padded) {
    return 2 * Carver::round_up(queries) + Carver::round_up(queries * padded);
  }
};

/// Queries of a task: a page is converted, or packed for a page kernel, once for all of them.
/// Packing is a 40th of the products of 64 queries and more than that in time.
constexpr int64_t kTaskQueries = 64;
constexpr int64_t kPackedTaskQueries = 128;

/// softmax_page_bf16 where `isa` has bf16 dot products and the computation is in bf16: its results
/// are, and so are keys and values. Else null.
SoftmaxPageKernel choose_page_kernel(const SoftmaxArgs& args, LinearIsa isa);

/// What all tasks of a call share.
struct SoftmaxShape {
  int64_t head_size;
  int64_t padded;                 ///< head_size rounded up to whole vectors
  int64_t group;                  ///< query heads of a kv head
  SoftmaxPageKernel page_kernel;  ///< for pages of bf16, or null: multiply-adds in f32
  int64_t rows_per_task;

  SoftmaxShape(const SoftmaxArgs& args, LinearIsa isa)
      : head_size(args.q.dim(2)),
        padded((head_size + 15) / 16 * 16),
        group(args.q.dim(1) / args.kv.pages.dim(1)),
        page_kernel(choose_page_kernel(args, isa)),
        rows_per_task(std::max<int64_t>(
            1, (page_kernel != nullptr ? kPackedTaskQueries : kTaskQueries) / group)) {}

  int64_t queries() const { return rows_per_task * group; }
};

/// All tasks of a call, the longest first. Checks that every page they read exists.
std::vector<SoftmaxTask> plan_softmax(const SoftmaxArgs& args, const SoftmaxShape& shape);

}  // namespace mm::cpu
