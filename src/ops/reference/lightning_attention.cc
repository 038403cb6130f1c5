// Row by row: append k, v to the tail; read the state at the block's start and the tail; fold the
// tail into the state when the block is full. Only the stored state and tail are rounded.
#include <cmath>

#include "ops/ragged.h"
#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {
namespace {

struct Head {
  int64_t index;
  double slope;
  TensorView state;   // f32 [K(v), K(k)]
  TensorView tail_k;  // [64, K]
  TensorView tail_v;  // [64, K]
};

// q of row `offset` of the step, the tail's first `filled` rows already written.
void read_row(const LightningArgs& args, const Head& head, int64_t row, int64_t filled) {
  const int64_t size = args.q.dim(2);
  const int64_t q = head_offset(args.q, row, head.index);
  std::vector<double> out(static_cast<size_t>(size));
  for (int64_t v = 0; v < size; ++v) {
    double sum = 0;
    for (int64_t c = 0; c < size; ++c) sum += load(head.state, v * size + c) * load(args.q, q + c);
    out[static_cast<size_t>(v)] = std::exp(-head.slope * static_cast<double>(filled)) * sum;
  }
  for (int64_t j = 0; j < filled; ++j) {
    double score = 0;
    for (int64_t c = 0; c < size; ++c)
      score += load(args.q, q + c) * load(head.tail_k, j * size + c);
    score *= std::exp(-head.slope * static_cast<double>(filled - 1 - j));
    for (int64_t v = 0; v < size; ++v)
      out[static_cast<size_t>(v)] += score * load(head.tail_v, j * size + v);
  }
  const int64_t target = head_offset(args.out, row, head.index);
  for (int64_t v = 0; v < size; ++v) store(args.out, target + v, out[static_cast<size_t>(v)]);
}

// S ← λ^64 S + Σ_j λ^(64-j) v_j k_jᵀ, j from 1.
void fold(const Head& head) {
  const int64_t size = head.state.dim(0);
  for (int64_t v = 0; v < size; ++v) {
    for (int64_t c = 0; c < size; ++c) {
      double sum = std::exp(-head.slope * kBlockTokens) * load(head.state, v * size + c);
      for (int64_t j = 0; j < kBlockTokens; ++j) {
        const double weight = std::exp(-head.slope * static_cast<double>(kBlockTokens - 1 - j));
        sum += weight * load(head.tail_v, j * size + v) * load(head.tail_k, j * size + c);
      }
      store(head.state, v * size + c, sum);
    }
  }
}

void run_head(const LightningArgs& args, const Head& head, const SequenceRows& sequence) {
  const int64_t size = args.q.dim(2);
  for (int64_t i = 0; i < sequence.count; ++i) {
    const int64_t row = sequence.first + i;
    const int64_t place = (sequence.start + i) % kBlockTokens;
    for (int64_t c = 0; c < size; ++c) {
      const int64_t k = head_offset(args.k, row, head.index) + c;
      const int64_t v = head_offset(args.v, row, head.index) + c;
      store(head.tail_k, place * size + c, load(args.k, k));
      store(head.tail_v, place * size + c, load(args.v, v));
    }
    read_row(args, head, row, place + 1);
    if (place + 1 == kBlockTokens)
      fold(head);
  }
}

}  // namespace

void lightning_attention(const LightningArgs& args) {
  for (int64_t n = 0; n < num_sequences(args.rows); ++n) {
    const SequenceRows sequence = sequence_rows(args.rows, n, args.q.dim(0));
    const int64_t slot = args.slots.ptr<int32_t>()[n];
    for (int64_t h = 0; h < args.q.dim(1); ++h) {
      const Head head{h, double{args.slopes.ptr<float>()[h]}, args.states.at(slot).at(h),
                      args.tail_k.at(slot).at(h), args.tail_v.at(slot).at(h)};
      run_head(args, head, sequence);
    }
  }
}

}  // namespace mm::reference
