/// The CPU ops, one function per verb of Backend; contracts at the verbs (ops/backend.h).
/// Inputs were checked there. Small work runs on the calling thread; results do not depend on it.
#pragma once

#include "base/thread_pool.h"
#include "ops/backend.h"
#include "ops/cpu/linear_isa.h"
#include "ops/cpu/scratch.h"

namespace mm::cpu {

void rms_norm(ThreadPool& pool, const TensorView& x, const TensorView& weight, float eps,
              const TensorView& out);
void cast(ThreadPool& pool, const TensorView& x, const TensorView& out);
/// The factors of add_scaled.
struct ScalePair {
  float alpha;
  float beta;
};
void add_scaled(ThreadPool& pool, const TensorView& a, const TensorView& b, ScalePair scale,
                const TensorView& out);
/// The inputs of gated_norm.
struct GatedNorm {
  TensorView gate;
  TensorView x;
  TensorView weight;
  float eps;
};
void gated_norm(ThreadPool& pool, const GatedNorm& inputs, const TensorView& out);
void silu(ThreadPool& pool, const TensorView& x);
/// silu_mul for the rows and columns that a product has just written: called by its threads while
/// the values are in cache. All three matrices have rows of one length.
struct GatedBlock {
  TensorView gate;
  TensorView up;
  TensorView out;
  int64_t row_begin, row_end;
  int64_t col_begin, col_end;
};
void silu_mul_block(const GatedBlock& block);
/// Likewise silu of `rows` rows of `cols` floats that begin `stride` bytes apart.
void silu_block(uint8_t* x, int64_t rows, int64_t cols, int64_t stride);
void silu_mul(ThreadPool& pool, const TensorView& gate, const TensorView& up,
              const TensorView& out);
void sigmoid_mul(ThreadPool& pool, const TensorView& gate, const TensorView& x,
                 const TensorView& out);
void rope(ThreadPool& pool, Scratch& scratch, const RopeArgs& args);
void store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows);
/// `isa` says whether bf16 dot products may be used; they are where pages and results are bf16.
void softmax_attention(ThreadPool& pool, Scratch& scratch, LinearIsa isa, const SoftmaxArgs& args);
void lightning_attention(ThreadPool& pool, Scratch& scratch, const LightningArgs& args);
void route_topk(ThreadPool& pool, const TensorView& logits, const TensorView& ids);
void route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights);
void group_by_expert(const TensorView& ids, int num_experts, const Routes& routes);
void gather_rows(ThreadPool& pool, const TensorView& x, const TensorView& index,
                 const TensorView& out);
void combine_rows(ThreadPool& pool, const TensorView& x, const TensorView& positions,
                  const TensorView& weights, const TensorView& out);

}  // namespace mm::cpu
