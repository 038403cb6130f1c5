// A task is a block of up to 64 queries that share one kv head (softmax_task.h). It passes over the
// pages of 64 keys below its last position: scores by `dots`, then an online softmax, then
// `accumulate` of the values. The running maximum starts afresh in every segment of 8 pages, and
// segments are merged in ascending order: a long context can be shared out among threads by
// segments (decode) or by tasks (prefill) with the same bits, because a query's own arithmetic sees
// only its keys, in order, page by page and segment by segment.
//
// Why dot products along the channels, and not lanes along keys over a transposed page: the page
// needs no transposition, which in decode would cost as much as the products, and the shuffle tree
// at the end of a dot costs a fifth of it at K = 64 and a tenth at K = 128.
#include <limits>
#include <numeric>

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/softmax_attention.cc"
#include "hwy/foreach_target.h"
// After foreach_target.
#include "ops/cpu/attention_tile_inl.h"
#include "ops/cpu/ops.h"
#include "ops/cpu/parallel.h"
#include "ops/cpu/softmax_task.h"
#include "ops/cpu/visit.h"
#include "ops/ragged.h"

HWY_BEFORE_NAMESPACE();
namespace mm::cpu::HWY_NAMESPACE {

// 64 keys and values of one kv head. The scales of codes are null for floats.
template <typename T>
struct Page {
  Rows<T> keys;
  Rows<T> values;
  const float* key_scales;    // [64]
  const float* value_scales;  // [64]
};

class SoftmaxWorker {
 public:
  SoftmaxWorker(const SoftmaxArgs& args, const SoftmaxShape& shape, const SoftmaxTask& task,
                float* block)
      : args_(args), task_(task), shape_(shape), queries_(task.rows * shape.group) {
    Carver carver(block);
    q_ = carver.take(shape_.queries() * shape_.padded);
    keys_ = carver.take(kBlockTokens * shape_.padded);
    values_ = carver.take(kBlockTokens * shape_.padded);
    scores_ = carver.take(shape_.queries() * kBlockTokens);
    totals_ = carver.take(shape_.queries() * kTotalLanes);
    limits_ = carver.take_ints(shape_.queries());
    visit_float(args.q, [&](const auto* q) {
      if (shape_.page_kernel != nullptr)
        round_queries(q);
      else
        widen_queries(q);
    });
  }

  // The keys of one segment, into `part`.
  void run_segment(int64_t segment, const SoftmaxPartial& part) {
    std::fill_n(part.largest, queries_, -std::numeric_limits<float>::infinity());
    std::fill_n(part.total, queries_, 0.0f);
    std::fill_n(part.out, queries_ * shape_.padded, 0.0f);
    const int64_t begin = segment * kSegmentTokens;
    const int64_t end = std::min(begin + kSegmentTokens, task_.last_position() + 1);
    if (shape_.page_kernel != nullptr) {
      run_bf16_pages(begin, end, part);
      return;
    }
    visit_pages(args_.kv.pages, [&](const auto* pages) {
      for (int64_t key = begin; key < end; key += kBlockTokens) run_page(pages, key, part);
    });
  }

 private:
  template <typename T>
  void widen_padded(const T* from, float* to) const {
    if (shape_.head_size != shape_.padded)
      std::fill(to + shape_.head_size, to + shape_.padded, 0.0f);
    widen_row(from, shape_.head_size, to);
  }

  // Query i's row of q.
  template <typename T>
  const T* query_row(const T* q, int64_t i) const {
    const int64_t head = task_.kv_head * shape_.group + i % shape_.group;
    const int64_t row = task_.row + i / shape_.group;
    return q + row * args_.q.stride(0) + head * args_.q.stride(1);
  }

  template <typename T>
  void widen_queries(const T* q) {
    for (int64_t i = 0; i < queries_; ++i) {
      float* to = q_ + i * shape_.padded;
      widen_padded(query_row(q, i), to);
      scale_row(to, shape_.padded, args_.scale);
    }
  }

  template <typename T>
  void round_queries(const T* q) {
    for (int64_t i = 0; i < queries_; ++i) {
      BFloat16* to = reinterpret_cast<BFloat16*>(q_) + i * shape_.padded;
      convert_row(query_row(q, i), shape_.head_size, to);
      std::fill(to + shape_.head_size, to + shape_.padded, BFloat16{0});
    }
  }

  // Notes how many keys of the page at `key` each query sees; returns the first that sees any.
  int64_t set_limits(int64_t key) {
    int64_t blind = 0;
    for (int64_t row = 0; row < task_.rows; ++row) {
      const int64_t seen = task_.position + row - key + 1;
      std::fill_n(limits_ + row * shape_.group, shape_.group,
                  static_cast<int32_t>(std::clamp<int64_t>(seen, 0, kBlockTokens)));
      blind += seen <= 0 ? shape_.group : 0;
    }
    return blind;
  }

  // Pages from the one at `begin` on, by bf16 dot products.
  void run_bf16_pages(int64_t begin, int64_t end, const SoftmaxPartial& part) {
    std::fill_n(totals_, queries_ * kTotalLanes, 0.0f);
    for (int64_t key = begin; key < end; key += kBlockTokens) {
      const int64_t first = set_limits(key);
      const auto page = find_page(args_.kv.pages.ptr<BFloat16>(), key);
      shape_.page_kernel({
          .q = reinterpret_cast<const uint16_t*>(q_) + first * shape_.padded,
          .limits = limits_ + first,
          .queries = queries_ - first,
          .keys = reinterpret_cast<const uint16_t*>(page.keys.data),
          .values = reinterpret_cast<const uint16_t*>(page.values.data),
          .stride = page.keys.stride,
          .head_size = shape_.head_size,
          .padded = shape_.padded,
          .scale = args_.scale,
          .largest = part.largest + first,
          .totals = totals_ + first * kTotalLanes,
          .out = part.out + first * shape_.padded,
          .packed = reinterpret_cast<uint32_t*>(keys_),
          .scores = scores_ + first * kBlockTokens,
      });
    }
    for (int64_t i = 0; i < queries_; ++i) {
      const float* lanes = totals_ + i * kTotalLanes;
      part.total[i] = std::accumulate(lanes, lanes + kTotalLanes, 0.0f);
    }
  }

  // The page whose first key stands at `key`.
  template <typename T>
  void run_page(const T* pages, int64_t key, const SoftmaxPartial& part) {
    const int64_t first = set_limits(key);
    const Page<T> page = find_page(pages, key);
    // Converting a page to f32 first pays when many queries read it.
    const bool is_f32 = args_.kv.pages.dtype == DType::kF32;
    if (shape_.head_size == shape_.padded && (is_f32 || queries_ <= 4)) {
      run_rows(page, first, part);
      return;
    }
    for (int64_t j = 0; j < limits_[queries_ - 1]; ++j) {
      widen_padded(page.keys.row(j), keys_ + j * shape_.padded);
      widen_padded(page.values.row(j), values_ + j * shape_.padded);
    }
    run_rows(
        Page<float>{
            {keys_, shape_.padded}, {values_, shape_.padded}, page.key_scales, page.value_scales},
        first, part);
  }

  template <typename T>
  Page<T> find_page(const T* pages, int64_t key) const {
    const TensorView& view = args_.kv.pages;
    const TensorView& scales = args_.kv.scales;
    const int64_t index = page_of(args_.kv, task_.sequence, key);
    const T* keys = pages + index * view.stride(0) + task_.kv_head * view.stride(1);
    Page<T> page{{keys, view.stride(3)}, {keys + view.stride(2), view.stride(3)}, nullptr, nullptr};
    if (is_scaled(view.dtype)) {
      page.key_scales =
          scales.ptr<float>() + index * scales.stride(0) + task_.kv_head * scales.stride(1);
      page.value_scales = page.key_scales + scales.stride(2);
    }
    return page;
  }

  // A code counts as its number: keys' scales multiply the scores and values' scales the weights,
  // which is one product for a row instead of one for each of its channels.
  template <typename T>
  void run_rows(const Page<T>& page, int64_t first, const SoftmaxPartial& part) {
    const int64_t count = queries_ - first;
    float* scores = scores_ + first * kBlockTokens;
    const Limits limits{limits_ + first};
    dots(DotPanel{q_ + first * shape_.padded, count, shape_.padded, limits, scores, kBlockTokens},
         page.keys);
    for (int64_t i = first; i < queries_; ++i) {
      if (page.key_scales != nullptr)
        multiply_scores(i, page.key_scales);
      weigh(i, part);
      if (page.value_scales != nullptr)
        multiply_scores(i, page.value_scales);
    }
    accumulate(SumPanel{{scores, kBlockTokens, 1},
                        count,
                        shape_.padded,
                        limits,
                        part.out + first * shape_.padded},
               page.values);
  }

  // Query i's row of scores times that many factors. Past the query's limit both may be anything.
  void multiply_scores(int64_t i, const float* factors) {
    float* scores = scores_ + i * kBlockTokens;
    for (int64_t j = 0; j < kBlockTokens; j += lane_count())
      store(hn::Mul(load(scores + j), load(factors + j)), scores + j);
  }

  // Turns query i's scores into weights and moves its sums to the new maximum.
  void weigh(int64_t i, const SoftmaxPartial& part) {
    const FloatTag d;
    float* scores = scores_ + i * kBlockTokens;
    std::fill(scores + limits_[i], scores + kBlockTokens, -std::numeric_limits<float>::infinity());
    auto most = hn::Set(d, part.largest[i]);
    for (int64_t j = 0; j < kBlockTokens; j += lane_count()) most = hn::Max(most, load(scores + j));
    most = hn::MaxOfLanes(d, most);
    auto total = hn::Zero(d);
    for (int64_t j = 0; j < kBlockTokens; j += lane_count()) {
      const auto weight = exponential(hn::Sub(load(scores + j), most));
      store(weight, scores + j);
      total = hn::Add(total, weight);
    }
    const float largest = hn::GetLane(most);
    const float sum = hn::GetLane(hn::SumOfLanes(d, total));
    if (largest != part.largest[i]) {
      const float factor = exponential(part.largest[i] - largest);
      part.total[i] *= factor;
      scale_row(part.out + i * shape_.padded, shape_.padded, factor);
    }
    part.total[i] += sum;
    part.largest[i] = largest;
  }

  const SoftmaxArgs& args_;
  const SoftmaxTask& task_;
  SoftmaxShape shape_;
  int64_t queries_;
  float* q_;         // [queries, padded]; bf16 for a page kernel
  float* keys_;      // [64, padded]; a page kernel packs keys and values there
  float* values_;    // [64, padded]
  float* scores_;    // [queries, 64]
  float* totals_;    // [queries, kTotalLanes], for a page kernel
  int32_t* limits_;  // [queries]: keys of the page at hand that a query sees
};

// all = all ⊕ part, for the queries that see the segment at all.
void merge_segment(const SoftmaxTask& task, const SoftmaxShape& shape, int64_t segment,
                   const SoftmaxPartial& part, const SoftmaxPartial& all) {
  for (int64_t i = 0; i < task.rows * shape.group; ++i) {
    if (task.position + i / shape.group < segment * kSegmentTokens)
      continue;
    const float largest = std::max(all.largest[i], part.largest[i]);
    const float old_factor = exponential(all.largest[i] - largest);
    const float new_factor = exponential(part.largest[i] - largest);
    all.largest[i] = largest;
    all.total[i] = all.total[i] * old_factor + part.total[i] * new_factor;
    float* out = all.out + i * shape.padded;
    const auto keep = hn::Set(FloatTag(), old_factor);
    const auto add = hn::Set(FloatTag(), new_factor);
    map([=](FloatVec p, FloatVec o) HWY_ATTR { return hn::MulAdd(p, add, hn::Mul(o, keep)); },
        shape.padded, out, static_cast<const float*>(part.out + i * shape.padded),
        static_cast<const float*>(out));
  }
}

// Divides by the totals and stores.
void finish_task(const SoftmaxArgs& args, const SoftmaxShape& shape, const SoftmaxTask& task,
                 const SoftmaxPartial& all) {
  visit_float(args.out, [&](auto* out) {
    for (int64_t i = 0; i < task.rows * shape.group; ++i) {
      const int64_t head = task.kv_head * shape.group + i % shape.group;
      const int64_t row = task.row + i / shape.group;
      const auto factor = hn::Set(FloatTag(), 1.0f / all.total[i]);
      map([=](FloatVec o) HWY_ATTR { return hn::Mul(o, factor); }, shape.head_size,
          out + row * args.out.stride(0) + head * args.out.stride(1),
          static_cast<const float*>(all.out + i * shape.padded));
    }
  });
}

// A whole task: all of its segments, one after another.
void run_task(const SoftmaxArgs& args, const SoftmaxShape& shape, const SoftmaxTask& task,
              float* block) {
  const int64_t floats = SoftmaxPartial::floats(shape.queries(), shape.padded);
  const auto all = SoftmaxPartial::carve(block, shape.queries(), shape.padded);
  const auto part = SoftmaxPartial::carve(block + floats, shape.queries(), shape.padded);
  SoftmaxWorker worker(args, shape, task, block + 2 * floats);
  worker.run_segment(0, all);
  for (int64_t segment = 1; segment < task.segments(); ++segment) {
    worker.run_segment(segment, part);
    merge_segment(task, shape, segment, part, all);
  }
  finish_task(args, shape, task, all);
}

// One segment of a task, into `part`.
void run_segment(const SoftmaxArgs& args, const SoftmaxShape& shape, const SoftmaxTask& task,
                 int64_t segment, const SoftmaxPartial& part, float* block) {
  SoftmaxWorker(args, shape, task, block).run_segment(segment, part);
}

}  // namespace mm::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace mm::cpu {
namespace {

HWY_EXPORT(run_task);
HWY_EXPORT(run_segment);
HWY_EXPORT(merge_segment);
HWY_EXPORT(finish_task);

// Multiply-adds of scores below which one thread is faster than waking the team.
constexpr int64_t kInlineProducts = 65536;
// Partial results are kept for at most this many floats at a time (64 MiB).
constexpr int64_t kWaveFloats = int64_t{16} << 20;

int64_t worker_floats(const SoftmaxShape& shape) {
  return shape.queries() * (shape.padded + kBlockTokens + kTotalLanes) +
         2 * kBlockTokens * shape.padded + Carver::round_up(shape.queries()) + 64;
}

int64_t products(const std::vector<SoftmaxTask>& tasks, const SoftmaxShape& shape) {
  int64_t sum = 0;
  for (const SoftmaxTask& task : tasks)
    sum += task.rows * shape.group * (task.last_position() + 1) * shape.head_size;
  return sum;
}

// Segments of all tasks, a wave at a time: computed by all threads, then merged in order.
class SplitRun {
 public:
  SplitRun(ThreadPool& pool, Scratch& scratch, const SoftmaxArgs& args, const SoftmaxShape& shape,
           const std::vector<SoftmaxTask>& tasks)
      : pool_(pool), scratch_(scratch), args_(args), tasks_(tasks), shape_(shape) {
    for (size_t task = 0; task < tasks.size(); ++task)
      for (int64_t segment = 0; segment < tasks[task].segments(); ++segment)
        units_.push_back({task, segment});
    floats_ = SoftmaxPartial::floats(shape_.queries(), shape_.padded);
    wave_ = std::clamp<int64_t>(kWaveFloats / floats_, pool.size(),
                                static_cast<int64_t>(units_.size()));
    totals_ = scratch.shared_floats((static_cast<int64_t>(tasks.size()) + wave_) * floats_);
    parts_ = totals_ + static_cast<int64_t>(tasks.size()) * floats_;
  }

  void run() {
    const int64_t count = static_cast<int64_t>(units_.size());
    for (int64_t begin = 0; begin < count; begin += wave_)
      run_wave(begin, std::min(begin + wave_, count));
    for (size_t task = 0; task < tasks_.size(); ++task)
      HWY_DYNAMIC_DISPATCH(finish_task)(args_, shape_, tasks_[task], total(task));
  }

 private:
  struct Unit {
    size_t task;
    int64_t segment;
  };

  SoftmaxPartial at(float* block) const {
    return SoftmaxPartial::carve(block, shape_.queries(), shape_.padded);
  }
  SoftmaxPartial total(size_t task) const {
    return at(totals_ + static_cast<int64_t>(task) * floats_);
  }

  void run_wave(int64_t begin, int64_t end) {
    const auto part = [&](int64_t i) {
      const Unit& unit = units_[static_cast<size_t>(i)];
      return unit.segment == 0 ? total(unit.task) : at(parts_ + (i - begin) * floats_);
    };
    for_units(pool_, end - begin, [&](int64_t i, int thread) {
      const Unit& unit = units_[static_cast<size_t>(begin + i)];
      HWY_DYNAMIC_DISPATCH(run_segment)
      (args_, shape_, tasks_[unit.task], unit.segment, part(begin + i),
       scratch_.floats(thread, worker_floats(shape_)));
    });
    for (int64_t i = begin; i < end; ++i) {
      const Unit& unit = units_[static_cast<size_t>(i)];
      if (unit.segment > 0)
        HWY_DYNAMIC_DISPATCH(merge_segment)
      (tasks_[unit.task], shape_, unit.segment, part(i), total(unit.task));
    }
  }

  ThreadPool& pool_;
  Scratch& scratch_;
  const SoftmaxArgs& args_;
  const std::vector<SoftmaxTask>& tasks_;
  SoftmaxShape shape_;
  std::vector<Unit> units_;
  int64_t floats_;  // of one partial result
  int64_t wave_;    // units at a time
  float* totals_;
  float* parts_;
};

}  // namespace

void softmax_attention(ThreadPool& pool, Scratch& scratch, LinearIsa isa, const SoftmaxArgs& args) {
  const SoftmaxShape shape(args, isa);
  const std::vector<SoftmaxTask> tasks = plan_softmax(args, shape);
  const int64_t count = static_cast<int64_t>(tasks.size());
  const auto run_one = [&](int64_t task, int thread) {
    const int64_t floats = 2 * SoftmaxPartial::floats(shape.queries(), shape.padded);
    HWY_DYNAMIC_DISPATCH(run_task)
    (args, shape, tasks[static_cast<size_t>(task)],
     scratch.floats(thread, floats + worker_floats(shape)));
  };
  if (pool.size() == 1 || products(tasks, shape) <= kInlineProducts) {
    for (int64_t task = 0; task < count; ++task) run_one(task, 0);
  } else if (count < 4 * pool.size() && tasks[0].segments() > 1) {
    SplitRun(pool, scratch, args, shape, tasks).run();
  } else {
    for_units(pool, count, run_one);
  }
}

}  // namespace mm::cpu
#endif
