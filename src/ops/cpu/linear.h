/// Matrix products on the CPU: weights in any format, exactly as they lie in the file.
///
/// Goals: an output's bits depend on its own row of x, its own row of w and the instruction set
/// alone (not on the number of rows, their place, or threads); decode at memory bandwidth, prefill
/// near the peak of the multiply-add units; no allocation in the steady state.
/// Non-goals: transposed or strided columns, int8 activations.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "ops/backend.h"
#include "ops/cpu/linear_isa.h"
#include "tensor/quant.h"
#include "tensor/tensor.h"

namespace mm::cpu {

/// Working memory of products and the instruction set they use. It grows to the largest product
/// seen and is kept; one product at a time may use it.
class LinearScratch {
 public:
  explicit LinearScratch(LinearIsa isa = selected_isa());
  ~LinearScratch();
  LinearScratch(LinearScratch&&) noexcept;
  LinearScratch& operator=(LinearScratch&&) noexcept;

  LinearIsa isa() const;

  struct State;
  State& state() { return *state_; }

 private:
  std::unique_ptr<State> state_;
};

/// out = x wᵀ. x float [T, K], rows at any stride; w [N, K] of any format; out float [T, N], rows
/// at any stride, rounded once from the f32 sum.
void linear(ThreadPool& pool, LinearScratch& scratch, const TensorView& x, const Weight& w,
            const TensorView& out);

/// out = x wᵀ, or silu of it, for each projection: several products of one x under one barrier,
/// each with the bits that `linear` gives.
void project(ThreadPool& pool, LinearScratch& scratch, const TensorView& x,
             std::span<const Projection> projections);

/// Rows [offsets[e], offsets[e + 1]) of x times weights[e]ᵀ, with the bits that `linear` gives.
/// x float [S, K]; offsets i32 [E + 1]; weights[e] [N, K]; out float [S, N].
void grouped_linear(ThreadPool& pool, LinearScratch& scratch, const TensorView& x,
                    const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out);

/// Both products of each expert and silu_mul under one barrier, with the bits that these give.
void grouped_gated(ThreadPool& pool, LinearScratch& scratch, const GatedArgs& args);

/// out[t] = float(table[ids[t]]). ids i32 [T], each in [0, V); table [V, D] of any format; out f32
/// [T, D].
void embed(ThreadPool& pool, const TensorView& ids, const Weight& table, const TensorView& out);

}  // namespace mm::cpu
