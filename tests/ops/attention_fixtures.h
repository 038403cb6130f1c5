/// Whole attention problems (tensors, caches and all) for tests and benches.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "tests/ops/fixtures.h"

namespace mm::testing {

struct AttentionShape {
  int64_t heads = 2;
  int64_t kv_heads = 2;
  int64_t size = 64;              ///< K
  DType dtype = DType::kF32;      ///< of q, k, v
  DType cache = DType::kF32;      ///< of pages or tails
  std::optional<DType> out = {};  ///< of softmax's results, where not dtype

  DType output() const { return out.value_or(dtype); }
};

/// Lightning attention over whole sequences, which may be fed in any chunks.
class LightningProblem {
 public:
  /// Sequence n has lengths[n] rows and lives in slot n + 1. `slope_scale` spreads the slopes.
  LightningProblem(const AttentionShape& shape, const std::vector<int64_t>& lengths,
                   uint64_t seed = 1)
      : shape_(shape), slots_(static_cast<int64_t>(lengths.size()) + 2) {
    Random random(seed);
    for (int64_t length : lengths) {
      // q, k and v interleaved per head, as one projection makes them.
      qkv_.push_back(random_tensor(random, shape.dtype, {length, shape.heads, 3 * shape.size}));
      out_.emplace_back(DType::kF32,
                        std::initializer_list<int64_t>{length, shape.heads, shape.size});
    }
    slopes_ = Tensor(DType::kF32, {shape.heads});
    for (int64_t h = 0; h < shape.heads; ++h)
      slopes_.ptr<float>()[h] = static_cast<float>(
          std::exp2(-8.0 * static_cast<double>(h + 1) / static_cast<double>(shape.heads)));
    reset();
  }

  void set_slope(int64_t head, float slope) { slopes_.ptr<float>()[head] = slope; }

  /// Empty caches. Tails start as NaN: rows that were not written must not be read.
  void reset() {
    states_ = Tensor(DType::kF32, {slots_, shape_.heads, shape_.size, shape_.size});
    tail_k_ = Tensor(shape_.cache, {slots_, shape_.heads, kBlockTokens, shape_.size});
    tail_v_ = Tensor(shape_.cache, {slots_, shape_.heads, kBlockTokens, shape_.size});
    for (int64_t i = 0; i < tail_k_.view().numel(); ++i) {
      put(tail_k_, i, std::nan(""));
      put(tail_v_, i, std::nan(""));
    }
  }

  /// One step: spans[i] are the rows of sequence sequences[i].
  void run(Backend& backend, const std::vector<Span>& spans,
           const std::vector<int64_t>& sequences) {
    const Step step(spans);
    Tensor qkv(shape_.dtype, {step.rows, shape_.heads, 3 * shape_.size});
    Tensor out(DType::kF32, {step.rows, shape_.heads, shape_.size});
    std::vector<int32_t> slots;
    copy_rows(spans, sequences, qkv, true);
    for (int64_t sequence : sequences) slots.push_back(static_cast<int32_t>(sequence + 1));
    const Tensor slot_ids = ints(slots);
    LightningArgs args;
    args.q = third(qkv, 0);
    args.k = third(qkv, 1);
    args.v = third(qkv, 2);
    args.slopes = slopes_;
    args.rows = step.ragged();
    args.slots = slot_ids;
    args.states = states_;
    args.tail_k = tail_k_;
    args.tail_v = tail_v_;
    args.out = out;
    backend.lightning_attention(args);
    copy_rows(spans, sequences, out, false);
  }
  /// Rows of the only sequence.
  void run(Backend& backend, Span span) { run(backend, {span}, {0}); }

  TensorView third(const TensorView& qkv, int64_t which) const {
    TensorView view = qkv;
    view.shape[2] = shape_.size;
    view.data = static_cast<char*>(qkv.data) + which * shape_.size * size_of(qkv.dtype);
    return view;
  }

  const AttentionShape& shape() const { return shape_; }
  const Tensor& qkv(size_t sequence = 0) const { return qkv_[sequence]; }
  const Tensor& out(size_t sequence = 0) const { return out_[sequence]; }
  const Tensor& slopes() const { return slopes_; }
  const Tensor& states() const { return states_; }
  const Tensor& tail_k() const { return tail_k_; }
  const Tensor& tail_v() const { return tail_v_; }

 private:
  // Between the sequences' own tensors and a step's packed rows.
  void copy_rows(const std::vector<Span>& spans, const std::vector<int64_t>& sequences,
                 const TensorView& packed, bool to_packed) {
    int64_t row = 0;
    for (size_t i = 0; i < spans.size(); ++i) {
      const auto sequence = static_cast<size_t>(sequences[i]);
      const TensorView whole = to_packed ? qkv_[sequence].view() : out_[sequence].view();
      const TensorView a = whole.slice(spans[i].start, spans[i].start + spans[i].count);
      const TensorView b = packed.slice(row, row + spans[i].count);
      std::memcpy(to_packed ? b.data : a.data, to_packed ? a.data : b.data,
                  static_cast<size_t>(a.bytes()));
      row += spans[i].count;
    }
  }

  AttentionShape shape_;
  int64_t slots_;
  std::vector<Tensor> qkv_;  // [length, H, 3K]
  std::vector<Tensor> out_;  // f32 [length, H, K]
  Tensor slopes_, states_, tail_k_, tail_v_;
};

/// Softmax attention over whole sequences, which may be fed in any chunks.
class SoftmaxProblem {
 public:
  SoftmaxProblem(const AttentionShape& shape, const std::vector<int64_t>& lengths,
                 uint64_t seed = 1)
      : shape_(shape) {
    Random random(seed);
    int64_t blocks = 1;
    for (int64_t length : lengths) {
      q_.push_back(random_tensor(random, shape.dtype, {length, shape.heads, shape.size}, 1.5));
      k_.push_back(random_tensor(random, shape.dtype, {length, shape.kv_heads, shape.size}, 1.5));
      v_.push_back(random_tensor(random, shape.dtype, {length, shape.kv_heads, shape.size}));
      out_.emplace_back(shape.output(),
                        std::initializer_list<int64_t>{length, shape.heads, shape.size});
      blocks = std::max(blocks, (length + kBlockTokens - 1) / kBlockTokens);
    }
    const auto count = static_cast<int64_t>(lengths.size());
    table_ = Tensor(DType::kI32, {count, blocks});
    pages_ = Tensor(shape.cache, {count * blocks + 1, shape.kv_heads, 2, kBlockTokens, shape.size});
    if (is_scaled(shape.cache))
      scales_ = Tensor(DType::kF32, {count * blocks + 1, shape.kv_heads, 2, kBlockTokens});
    // Pages in a scattered order; page 0 belongs to nobody.
    for (int64_t i = 0; i < count * blocks; ++i)
      table_.ptr<int32_t>()[i] = static_cast<int32_t>(count * blocks - i);
    reset();
  }

  /// Empty pages, filled with NaN: positions that were not stored must not be read. Codes are made
  /// NaN by their scales.
  void reset() {
    const TensorView& floats = is_scaled(shape_.cache) ? scales_.view() : pages_.view();
    for (int64_t i = 0; i < floats.numel(); ++i) put(floats, i, std::nan(""));
  }

  void run(Backend& backend, const std::vector<Span>& spans,
           const std::vector<int64_t>& sequences) {
    const Step step(spans);
    Tensor q(shape_.dtype, {step.rows, shape_.heads, shape_.size});
    Tensor k(shape_.dtype, {step.rows, shape_.kv_heads, shape_.size});
    Tensor v(shape_.dtype, {step.rows, shape_.kv_heads, shape_.size});
    Tensor out(shape_.output(), {step.rows, shape_.heads, shape_.size});
    Tensor table(DType::kI32, {static_cast<int64_t>(spans.size()), table_.view().dim(1)});
    int64_t row = 0;
    for (size_t i = 0; i < spans.size(); ++i) {
      const auto sequence = static_cast<size_t>(sequences[i]);
      const int64_t end = row + spans[i].count;
      copy(rows_of(q_[sequence], spans[i]), q.view().slice(row, end));
      copy(rows_of(k_[sequence], spans[i]), k.view().slice(row, end));
      copy(rows_of(v_[sequence], spans[i]), v.view().slice(row, end));
      copy(table_.view().at(sequences[i]), table.view().at(static_cast<int64_t>(i)));
      row = end;
    }
    const PagedKv kv{pages_, table, scales_};
    backend.store_kv(k, v, kv, step.ragged());
    backend.softmax_attention({q, kv, step.ragged(), scale(), out});
    row = 0;
    for (size_t i = 0; i < spans.size(); ++i) {
      copy(out.view().slice(row, row + spans[i].count),
           rows_of(out_[static_cast<size_t>(sequences[i])], spans[i]));
      row += spans[i].count;
    }
  }
  void run(Backend& backend, Span span) { run(backend, {span}, {0}); }

  float scale() const { return 1 / std::sqrt(static_cast<float>(shape_.size)); }
  const AttentionShape& shape() const { return shape_; }
  const Tensor& q(size_t sequence = 0) const { return q_[sequence]; }
  const Tensor& k(size_t sequence = 0) const { return k_[sequence]; }
  const Tensor& v(size_t sequence = 0) const { return v_[sequence]; }
  const Tensor& out(size_t sequence = 0) const { return out_[sequence]; }
  const Tensor& pages() const { return pages_; }
  const Tensor& scales() const { return scales_; }

 private:
  static TensorView rows_of(const TensorView& whole, Span span) {
    return whole.slice(span.start, span.start + span.count);
  }
  static void copy(const TensorView& from, const TensorView& to) {
    std::memcpy(to.data, from.data, static_cast<size_t>(from.bytes()));
  }

  AttentionShape shape_;
  std::vector<Tensor> q_, k_, v_, out_;
  Tensor table_, pages_, scales_;
};

}  // namespace mm::testing
