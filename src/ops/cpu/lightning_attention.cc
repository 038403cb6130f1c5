// One unit of work is one head of one sequence; its rows go block by block (64 absolute positions),
// the rows of a block together. With m new rows behind `place` rows of the tail:
//
//   o_i  = λ^i (S q_i)                        `dots` of the rows of q with the rows of S ([v][k])
//        + Σ_{j ≤ i} λ^(i-j) (q_i·k_j) v_j    `dots` with the tail's keys, then `accumulate`
//   S    = λ^64 S + Σ_j (λ^(64-j) v_j) k_jᵀ   `accumulate` into the rows of S, when the block fills
//
// Both small products give each row the same bits whatever m is (attention_tile_inl.h), and decays
// come from one table of exp(-slope · n), so a token decoded alone equals the same token prefilled.
// Memory: S is read once per block, or once per decoded token; everything else stays in cache.

#include <array>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/lightning_attention.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/attention_tile_inl.h"
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/visit.h"
#include "ops/ragged.h"

// Once, not per instruction set.
#ifndef MM_OPS_CPU_LIGHTNING_ATTENTION
#define MM_OPS_CPU_LIGHTNING_ATTENTION
namespace mm::cpu {

// 0, 1, 2, …: exponents of the decay.
constexpr std::array<float, kBlockTokens + 1> kDistances = [] {
  std::array<float, kBlockTokens + 1> values{};
  for (size_t n = 0; n < values.size(); ++n) values[n] = static_cast<float>(n);
  return values;
}();

// One head of one sequence.
struct LightningUnit {
  SequenceRows rows;
  int64_t slot;
  int64_t head;
};

// Rows are padded to a whole number of vectors and of groups of 8 rows of S.
constexpr int64_t padded_head(int64_t size) {
  return (size + 15) / 16 * 16;
}

}  // namespace mm::cpu
#endif

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// Working arrays of one thread; rows of `padded` floats.
struct LightningSpace {
  float* q;        // [64]
  float* k;        // [64]
  float* v;        // [64]
  float* out;      // [64]
  float* scores;   // [64, 64]
  float* decay;    // [65 + padding]: exp(-slope · n)
  float* reverse;  // [64 + padding]: exp(-slope · (63 - n))
  float* state;    // [K], used when a row of the state is not whole vectors
};

class LightningHead {
 public:
  LightningHead(const LightningArgs& args, const LightningUnit& unit, const LightningSpace& space)
      : args_(args),
        unit_(unit),
        space_(space),
        size_(args.q.dim(2)),
        padded_(padded_head(size_)),
        tail_offset_((unit.slot * args.q.dim(1) + unit.head) * kBlockTokens * size_) {
    float* states = args.states.ptr<float>();
    stored_state_ = states + (unit.slot * args.q.dim(1) + unit.head) * size_ * size_;
    state_ = size_ == padded_ ? stored_state_ : space.state;
  }

  void run() {
    fill_decays();
    load_state();
    bool folded = false;
    for (int64_t i = 0; i < unit_.rows.count;) {
      const int64_t place = (unit_.rows.start + i) % kBlockTokens;
      const int64_t count = std::min(kBlockTokens - place, unit_.rows.count - i);
      run_rows(unit_.rows.first + i, place, count);
      i += count;
      if (place + count == kBlockTokens) {
        fold();
        folded = true;
      }
    }
    if (folded)
      save_state();
  }

 private:
  void fill_decays() {
    const auto slope = hn::Set(FloatTag(), -args_.slopes.ptr<float>()[unit_.head]);
    map([=](FloatVec n) HWY_ATTR { return exponential(hn::Mul(slope, n)); }, kBlockTokens + 1,
        space_.decay, kDistances.data());
    for (int64_t n = 0; n < kBlockTokens; ++n)
      space_.reverse[n] = space_.decay[kBlockTokens - 1 - n];
  }

  void load_state() {
    if (state_ == stored_state_)
      return;
    for (int64_t v = 0; v < size_; ++v) {
      std::fill(state_ + v * padded_, state_ + (v + 1) * padded_, 0.0f);
      std::copy_n(stored_state_ + v * size_, size_, state_ + v * padded_);
    }
  }

  void save_state() {
    if (state_ == stored_state_)
      return;
    for (int64_t v = 0; v < size_; ++v)
      std::copy_n(state_ + v * padded_, size_, stored_state_ + v * size_);
  }

  // Rows [row, row + count) of the step stand at `place`, … of the current block.
  void run_rows(int64_t row, int64_t place, int64_t count) {
    append(args_.k, args_.tail_k, row, place, count);
    append(args_.v, args_.tail_v, row, place, count);
    read_queries(row, count);
    read_state(place, count);
    visit_float(args_.tail_k, [&](auto* tail_k) {
      auto* tail_v = static_cast<decltype(tail_k)>(args_.tail_v.data);
      // Converting the tail to f32 first pays when several rows read it.
      const bool in_place = size_ == padded_ && (count == 1 || args_.tail_k.dtype == DType::kF32);
      if (in_place) {
        read_tail(place, count, tail_rows(tail_k), tail_rows(tail_v));
      } else {
        widen_tail(place + count);
        read_tail(place, count, Rows<float>{space_.k, padded_}, Rows<float>{space_.v, padded_});
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      float* out = args_.out.ptr<float>() + (row + i) * args_.out.stride(0);
      std::copy_n(space_.out + i * padded_, size_, out + unit_.head * size_);
    }
  }

  template <typename T>
  Rows<T> tail_rows(const T* tail) const {
    return {tail + tail_offset_, size_};
  }

  void append(const TensorView& from, const TensorView& tail, int64_t row, int64_t place,
              int64_t count) {
    visit_float(from, [&](const auto* in) {
      visit_float(tail, [&](auto* out) {
        for (int64_t i = 0; i < count; ++i)
          convert_row(in + (row + i) * from.stride(0) + unit_.head * from.stride(1), size_,
                      out + tail_offset_ + (place + i) * size_);
      });
    });
  }

  void read_queries(int64_t row, int64_t count) {
    visit_float(args_.q, [&](const auto* q) {
      for (int64_t i = 0; i < count; ++i)
        widen_padded(q + (row + i) * args_.q.stride(0) + unit_.head * args_.q.stride(1),
                     space_.q + i * padded_);
    });
  }

  void widen_tail(int64_t count) {
    visit_float(args_.tail_k, [&](const auto* tail_k) {
      const auto* tail_v = static_cast<decltype(tail_k)>(args_.tail_v.data);
      for (int64_t j = 0; j < count; ++j) {
        widen_padded(tail_rows(tail_k).row(j), space_.k + j * padded_);
        widen_padded(tail_rows(tail_v).row(j), space_.v + j * padded_);
      }
    });
  }

  template <typename T>
  void widen_padded(const T* from, float* to) const {
    if (size_ != padded_)
      std::fill(to + size_, to + padded_, 0.0f);
    widen_row(from, size_, to);
  }

  // out_i = λ^(place + i) S q_i, i from 1.
  void read_state(int64_t place, int64_t count) {
    const int32_t rows = static_cast<int32_t>(size_);
    dots(DotPanel{space_.q, count, padded_, {&rows, 0}, space_.out, padded_},
         Rows<float>{state_, padded_});
    for (int64_t i = 0; i < count; ++i)
      scale_row(space_.out + i * padded_, padded_, space_.decay[place + i + 1]);
  }

  // out_i += Σ_{j ≤ i} λ^(i-j) (q_i·k_j) v_j
  template <typename T>
  void read_tail(int64_t place, int64_t count, const Rows<T>& keys, const Rows<T>& values) {
    int32_t limits[kBlockTokens];
    for (int64_t i = 0; i < count; ++i) limits[i] = static_cast<int32_t>(place + i + 1);
    dots(DotPanel{space_.q, count, padded_, {limits}, space_.scores, kBlockTokens}, keys);
    for (int64_t i = 0; i < count; ++i) {
      float* scores = space_.scores + i * kBlockTokens;
      const float* decay = space_.reverse + kBlockTokens - limits[i];
      for (int64_t j = 0; j < limits[i]; j += lane_count())
        store(hn::Mul(load(scores + j), load(decay + j)), scores + j);
    }
    accumulate(SumPanel{{space_.scores, kBlockTokens, 1}, count, padded_, {limits}, space_.out},
               values);
  }

  void fold() {
    widen_tail(kBlockTokens);
    for (int64_t j = 0; j < kBlockTokens; ++j)
      scale_row(space_.v + j * padded_, padded_, space_.reverse[j]);
    for (int64_t v = 0; v < size_; ++v)
      scale_row(state_ + v * padded_, padded_, space_.decay[kBlockTokens]);
    const int32_t rows = kBlockTokens;
    accumulate(SumPanel{{space_.v, 1, padded_}, size_, padded_, {&rows, 0}, state_},
               Rows<float>{space_.k, padded_});
  }

  const LightningArgs& args_;
  const LightningUnit& unit_;
  const LightningSpace& space_;
  int64_t size_;
  int64_t padded_;
  int64_t tail_offset_;
  float* stored_state_;
  float* state_;
};

void run_lightning_unit(const LightningArgs& args, const LightningUnit& unit, float* block) {
  const int64_t padded = padded_head(args.q.dim(2));
  Carver carver(block);
  LightningSpace space;
  space.q = carver.take(kBlockTokens * padded);
  space.k = carver.take(kBlockTokens * padded);
  space.v = carver.take(kBlockTokens * padded);
  space.out = carver.take(kBlockTokens * padded);
  space.scores = carver.take(kBlockTokens * kBlockTokens + 16);
  space.decay = carver.take(kBlockTokens + 32);
  space.reverse = carver.take(kBlockTokens + 32);
  space.state = carver.take(padded * padded);
  LightningHead(args, unit, space).run();
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {
namespace {

HWY_EXPORT(run_lightning_unit);

// Below this many elements of state one thread is faster than waking the team.
constexpr int64_t kInlineState = 16384;

int64_t space_floats(int64_t head_size) {
  const int64_t padded = padded_head(head_size);
  return padded * (4 * kBlockTokens + padded) + kBlockTokens * (kBlockTokens + 2) + 128;
}

LightningUnit unit_of(const LightningArgs& args, int64_t index) {
  const int64_t heads = args.q.dim(1);
  const int64_t n = index / heads;
  const int64_t slot = args.slots.ptr<int32_t>()[n];
  MM_CHECK(0 <= slot && slot < std::min(args.states.dim(0), args.tail_k.dim(0)) &&
               slot < args.tail_v.dim(0),
           "sequence {}: slot {} of {} states and {} tails", n, slot, args.states.dim(0),
           args.tail_k.dim(0));
  return {sequence_rows(args.rows, n, args.q.dim(0)), slot, index % heads};
}

}  // namespace

void lightning_attention(ThreadPool& pool, Scratch& scratch, const LightningArgs& args) {
  const int64_t size = args.q.dim(2);
  const int64_t units = num_sequences(args.rows) * args.q.dim(1);
  const auto run_unit = [&](int64_t index, int thread) {
    float* block = scratch.floats(thread, space_floats(size));
    HWY_DYNAMIC_DISPATCH(run_lightning_unit)(args, unit_of(args, index), block);
  };
  if (args.q.dim(0) * args.q.dim(1) * size * size <= kInlineState) {
    for (int64_t index = 0; index < units; ++index) run_unit(index, 0);
  } else {
    for_units(pool, units, run_unit);
  }
}

}  // namespace mm::cpu
#endif
