/// The verbs the model speaks. Public functions check shapes and types once, for every backend,
/// then call the private virtual one; a backend that lacks a verb does not compile.
///
/// Letters: T tokens in this step, N sequences in this step, D hidden size, H query heads, G
/// key/value heads, K head size, R rotary size, E experts, A experts per token, S = T·A routed
/// rows, F expert inner size, V vocabulary, P = 64 tokens per page and per lightning block.
///
/// "float" below means f32 or bf16. Sums run in f32 (or better) in every op. On the CPU each output
/// row depends on its own inputs alone, bit for bit: not on T, N, chunk boundaries or threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tensor/quant.h"
#include "tensor/tensor.h"

namespace mm {

/// Tokens per KV page and per lightning block: states and pages begin at absolute multiples of it.
constexpr int64_t kBlockTokens = 64;

/// The ragged layout of one step: which rows belong to which sequence.
struct Ragged {
  TensorView offsets;  ///< i32 [N + 1], first row of each sequence; offsets[N] == T
  TensorView starts;   ///< i32 [N], absolute position of each sequence's first row
};

/// Inputs of lightning attention for one step.
struct LightningArgs {
  TensorView q, k, v;  ///< float [T, H, K], any strides but unit in K; after SiLU
  TensorView slopes;   ///< f32 [H], s > 0: the decay per token is exp(-s)
  Ragged rows;
  TensorView slots;   ///< i32 [N], row of the cache for each sequence
  TensorView states;  ///< f32 [*, H, K(v), K(k)]: at the last absolute multiple of 64; updated
  TensorView tail_k;  ///< float [*, H, 64, K]: rows since then, position p in row p mod 64;
  TensorView tail_v;  ///< updated. The number of valid rows is starts[n] mod 64.
  TensorView out;     ///< f32 (on a device also bf16) [T, H, K], contiguous
};

/// Pages of keys and values: float, or i8 or e4m3 codes in units of a scale for each row, [B, G, 2,
/// P, K], keys at [.., 0, ..], values at [.., 1, ..].
struct PagedKv {
  TensorView pages;
  TensorView block_table;  ///< i32 [N, *]: page of each block of 64 positions
  TensorView scales{};     ///< f32 [B, G, 2, P]; empty unless pages hold codes
};

/// Inputs of causal grouped-query attention over pages.
struct SoftmaxArgs {
  TensorView q;  ///< float [T, H, K], rotated
  PagedKv kv;    ///< rows of this step already stored
  Ragged rows;
  float scale = 1;
  TensorView out;  ///< float [T, H, K], contiguous
};

/// One of several products of the same rows.
struct Projection {
  const Weight& w;  ///< [N, K]
  TensorView out;   ///< float [T, N]
  bool silu = false;
};

/// Inputs of the gated half of a mixture of experts.
struct GatedArgs {
  TensorView x;                      ///< float [S, D], sorted by expert
  TensorView offsets;                ///< i32 [E + 1], first row of each expert
  std::span<const Weight> gate, up;  ///< [F, D] per expert, all of one format
  TensorView gate_sums, up_sums;     ///< f32 [S, F], workspaces
  TensorView out;                    ///< float [S, F]
};

/// What a residual takes in: a row for each token, or rows of experts and how tokens weigh them.
struct Branch {
  TensorView rows{};       ///< f32 (on a device also bf16) [T, D], or of a mixture [S, D]
  TensorView positions{};  ///< i32 [T, A]: the rows of each token; empty if there is one each
  TensorView weights{};    ///< f32 [T, A]

  bool is_mixture() const { return !positions.empty(); }
};

/// Inputs of one step of the residual stream. R rows are made: all T, or those of `only`.
struct ResidualArgs {
  TensorView residual;        ///< f32 [T, D]
  Branch branch{};            ///< rows empty: nothing is added
  float alpha = 1, beta = 1;  ///< of residual and branch
  TensorView mixed{};         ///< [T, D] of the type of branch.rows, workspace of a mixture
  TensorView only{};          ///< i32 [R], tokens; empty: all
  TensorView sum{};           ///< f32 [R, D]; may be residual; empty: not kept, only normed
  TensorView weight{};        ///< f32 [D]; empty: no norm
  float eps = 0;
  TensorView normed{};  ///< f32 [R, D]; may be residual; empty without a norm
  TensorView input{};   ///< float [R, D], or empty
};

/// Rotary positions on the first `rotary_dim` channels of each head, channel i with i + R/2.
struct RopeArgs {
  TensorView x;          ///< float [T, heads, K], rotated in place
  TensorView positions;  ///< i32 [T]
  int rotary_dim = 0;
  double theta = 1e7;
};

/// Rows of tokens sorted by expert, stable in token order.
struct Routes {
  TensorView order;      ///< i32 [S]: routed row r reads token order[r]
  TensorView positions;  ///< i32 [T, A]: routed row of each (token, choice)
  TensorView offsets;    ///< i32 [E + 1]: first routed row of each expert
};

class Backend {
 public:
  virtual ~Backend() = default;
  Backend() = default;
  Backend(const Backend&) = delete;
  Backend& operator=(const Backend&) = delete;

  /// Name of the implementation in use, e.g. "cpu (avx2, 2 threads)".
  virtual std::string name() const = 0;

  /// out[t] = float(table[ids[t]]). ids i32 [T]; table [V, D]; out f32 [T, D].
  void embed(const TensorView& ids, const Weight& table, const TensorView& out);

  /// out = w · x / sqrt(mean(x²) + eps) per row. x f32 [T, D]; weight f32 [D]; out float [T, D];
  /// may be x.
  void rms_norm(const TensorView& x, const TensorView& weight, float eps, const TensorView& out);

  /// out = x with rounding. Same shape, float to float, contiguous.
  void cast(const TensorView& x, const TensorView& out);

  /// out = alpha · a + beta · b. f32 [T, D]; out may be a or b.
  void add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                  const TensorView& out);

  /// out = x wᵀ. x float [T, K]; w [N, K]; out float [T, N], contiguous. Each output is one dot
  /// product in a fixed lane order.
  void linear(const TensorView& x, const Weight& w, const TensorView& out);

  /// Rows [offsets[e], offsets[e+1]) of x times weights[e]ᵀ. x float [S, K]; offsets i32 [E + 1];
  /// weights[e] [N, K], all of one format; out float [S, N].
  void grouped_linear(const TensorView& x, const TensorView& offsets,
                      std::span<const Weight> weights, const TensorView& out);

  // Verbs that stand for several others, so that a backend may keep what lies between them in
  // registers or cache. On the CPU the results are the same, bit for bit; a backend that does not
  // care inherits the sequence.

  /// out = x wᵀ, or silu(x wᵀ), for each projection. x float [T, K].
  void project(const TensorView& x, std::span<const Projection> projections);
  /// out = silu(x gate[e]ᵀ) · (x up[e]ᵀ) for the rows of each expert e.
  void grouped_gated(const GatedArgs& args);
  /// out = sigmoid(gate) · rms_norm(x). x f32 (on a device also bf16) [T, D], afterwards
  /// unspecified; weight f32 [D]; gate, out float [T, D].
  void gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight, float eps,
                  const TensorView& out);
  /// sum = alpha · residual + beta · branch; normed = rms_norm(sum); input = normed with rounding.
  /// The branch of a mixture: combine_rows. Without a branch sum is residual itself.
  void add_residual(const ResidualArgs& args);

  /// x = x · sigmoid(x), in place. float, contiguous.
  void silu(const TensorView& x);
  /// out = silu(gate) · up. gate, up f32 [S, F]; out float [S, F].
  void silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out);
  /// out = sigmoid(gate) · x. gate float, x f32, out float; one shape.
  void sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out);

  void rope(const RopeArgs& args);
  /// Writes k, v (float [T, G, K]) of each row at its position's page, rounded to the pages' type.
  /// Where pages hold codes, each row's scale is max|x| / 127 (i8) or max|x| / 448 (e4m3), a row of
  /// zeros has scale 1, and one that is not finite reads as NaN (ops/kv_scale.h).
  void store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows);

  /// o_i = softmax(scale · q_i Kᵀ) V over all positions ≤ its own; query head h reads kv head
  /// h·G/H. Never forms a T×T matrix; keys in partitions at fixed absolute positions.
  void softmax_attention(const SoftmaxArgs& args);

  /// A decayed running sum of key-value products in blocks of 64 absolute positions:
  ///   o_i = λ^i S q_i + Σ_{j ≤ i} λ^(i-j) (q_i·k_j) v_j     (i, j from 1 inside the block)
  ///   S  ← λ^64 S + Σ_j λ^(64-j) v_j k_jᵀ                   (when a block fills)
  /// A state is stored [v][k]. Keys and values are read as rounded to the tail's type.
  /// Source: MiniMax-01 report; docs/model.md.
  void lightning_attention(const LightningArgs& args);

  /// ids[t] = the `A` largest of logits[t], best first, ties to the lower id. logits f32 [T, E];
  /// ids i32 [T, A].
  void route_topk(const TensorView& logits, const TensorView& ids);
  /// weights[t] = softmax over the chosen logits alone (equals top-k probabilities renormalised).
  /// logits f32 [T, E]; ids i32 [T, A]; weights f32 [T, A].
  void route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights);
  /// Sorts the choices ids i32 [T, A] by expert, stable in token order.
  void group_by_expert(const TensorView& ids, int num_experts, const Routes& routes);

  /// out[r] = x[index[r]]. x float [*, D]; index i32 [S]; out of x's type [S, D].
  void gather_rows(const TensorView& x, const TensorView& index, const TensorView& out);
  /// out[t] = Σ_a weights[t][a] · x[positions[t][a]], in order of a. x f32 [S, D]; positions i32
  /// [T, A]; weights f32 [T, A]; out f32 [T, D].
  void combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                    const TensorView& out);

 private:
  /// do_add_residual row by row, for the tokens of `only` in memory of the host.
  void add_residual_rows(const ResidualArgs& args);

  virtual void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) = 0;
  virtual void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                           const TensorView& out) = 0;
  virtual void do_cast(const TensorView& x, const TensorView& out) = 0;
  virtual void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                             const TensorView& out) = 0;
  virtual void do_linear(const TensorView& x, const Weight& w, const TensorView& out) = 0;
  virtual void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                                 std::span<const Weight> weights, const TensorView& out) = 0;
  virtual void do_project(const TensorView& x, std::span<const Projection> projections);
  virtual void do_grouped_gated(const GatedArgs& args);
  virtual void do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                             float eps, const TensorView& out);
  virtual void do_add_residual(const ResidualArgs& args);
  virtual void do_silu(const TensorView& x) = 0;
  virtual void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) = 0;
  virtual void do_sigmoid_mul(const TensorView& gate, const TensorView& x,
                              const TensorView& out) = 0;
  virtual void do_rope(const RopeArgs& args) = 0;
  virtual void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                           const Ragged& rows) = 0;
  virtual void do_softmax_attention(const SoftmaxArgs& args) = 0;
  virtual void do_lightning_attention(const LightningArgs& args) = 0;
  virtual void do_route_topk(const TensorView& logits, const TensorView& ids) = 0;
  virtual void do_route_weights(const TensorView& logits, const TensorView& ids,
                                const TensorView& weights) = 0;
  virtual void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) = 0;
  virtual void do_gather_rows(const TensorView& x, const TensorView& index,
                              const TensorView& out) = 0;
  virtual void do_combine_rows(const TensorView& x, const TensorView& positions,
                               const TensorView& weights, const TensorView& out) = 0;
};

}  // namespace mm
