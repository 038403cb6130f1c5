// Work split: a cluster of 8 blocks a row. Each block keeps an eighth of the row in shared memory,
// with mask, biases and penalties applied, so that logits are read once whatever is drawn how; two
// blocks fit a multiprocessor at V = 200 064.
//   best:    maximum and its id over the cluster; greedy draws end here
//   nucleus: a histogram over the logits, of weight (top_p) or of ids (top_k), added up by all
//            blocks and searched by block 0, names the part in which the share or the k-th id is
//            reached; its ids are gathered, ranked and searched by block 0. If they are too many, a
//            second histogram splits that part: what is then too much are equal logits
//   draw:    top_k in order of rank; else in order of ids: running sums over blocks, threads, ids
// Weights are multiples of 2^-32, so they are added as integers: exact, in any order, and equal to
// the host's sums in double. This file is compiled without contraction (ops/draw_math.h).
// Expected limit: latency of a dozen barriers and of three passes over shared memory; with many
// rows memory, logits read once.
#include <algorithm>

#include "ops/cuda/check.h"
#include "ops/cuda/prim/cluster.cuh"
#include "ops/cuda/prim/reduce.cuh"
#include "ops/cuda/token_draw.h"
#include "ops/draw_math.h"

namespace mm::cuda {
namespace {

constexpr int kBlocks = 8;  // of a row: the largest cluster that every device has
constexpr int kThreads = 512;
constexpr int kMostCandidates = 1792;  // two blocks a multiprocessor have no room for more
constexpr int kCandidatesEach = (kMostCandidates + kThreads - 1) / kThreads;
constexpr int kBinsEach = kDrawBins / kThreads;
constexpr int kMostSharedBytes = 227 * 1024;
constexpr uint64_t kNoKey = 0;

// Between a write of a field and a read by another block, as between that and the next write, lies
// a barrier of the cluster.
struct alignas(16) Shared {
  union {
    // Weight of a part: low[b] + 2^16 high[b]. An eighth of a row has less than 2^16 ids, a weight
    // at most 2^32 units, so neither overflows. Once added up, in block 0: low[b] + 2^32 high[b].
    struct {
      uint32_t low[kDrawBins], high[kDrawBins];
    } bins;
    uint64_t candidates[kMostCandidates];  // rank keys; replace the bins
  };
  uint64_t scratch[32];
  uint64_t best;   // order key of this block's best; kNoKey: none
  uint64_t total;  // of this block's weights
  // Of block 0:
  uint64_t before;   // weight of the parts before the crossing one
  uint64_t last;     // rank key of the last id that stays
  uint64_t kept;     // weight of the candidates that stay
  int32_t crossing;  // part of the last histogram in which the share, or the k-th id, is reached
  int32_t stays;     // candidates that stay
  int32_t too_many;  // more candidates than there is room for
  // Of each block:
  int32_t count;  // ids gathered, also those without room
};

// An eighth of a row.
struct Slice {
  float* logits;  // shared memory
  int begin;      // id of the first
  int count;
  int each;  // ids of a thread where those are neighbours: odd, so that banks differ
};

// Larger for the larger float; -0 as +0.
__device__ uint32_t ordered(float x) {
  const uint32_t bits = __float_as_uint(x == 0 ? 0.0F : x);
  return (bits & 0x80000000U) != 0 ? ~bits : bits | 0x80000000U;
}
__device__ float from_ordered(uint32_t x) {
  return __uint_as_float((x & 0x80000000U) != 0 ? x & 0x7fffffffU : ~x);
}

// Order keys grow with the logit and, among equals, with lower ids; rank keys are the smaller the
// better.
__device__ uint64_t order_key(float logit, int id) {
  return static_cast<uint64_t>(ordered(logit)) << 32 | ~static_cast<uint32_t>(id);
}
__device__ uint64_t rank_key(float logit, int id) {
  return ~order_key(logit, id);
}
__device__ float logit_of_rank(uint64_t key) {
  return from_ordered(static_cast<uint32_t>(~key >> 32));
}
__device__ int id_of_rank(uint64_t key) {
  return static_cast<int>(static_cast<uint32_t>(key));
}

__device__ uint64_t units(float weight) {
  return static_cast<uint64_t>(weight * 0x1p32F);
}
__device__ double in_double(uint64_t weights) {
  return static_cast<double>(weights) * 0x1p-32;
}
// Where in a running sum the draw falls.
__device__ uint64_t draw_at(double uniform, uint64_t total) {
  return static_cast<uint64_t>(floor(uniform * in_double(total) * 0x1p32));
}

template <typename T>
__device__ const T* entries(const TokenDrawParams& p, const DrawList& list) {
  return reinterpret_cast<const T*>(p.upload + list.offset);
}

// ---- the row ------------------------------------------------------------------------------------

struct Mask {
  const uint32_t* words;  // null: all may come

  __device__ float apply(float logit, int id) const {
    const bool allowed = words == nullptr || (words[id >> 5] >> (id & 31) & 1U) != 0;
    return allowed ? finite_logit(logit) : -INFINITY;
  }
};

__device__ void load(const Slice& slice, const float* row, const Mask& mask) {
  const float* from = row + slice.begin;
  const int tid = static_cast<int>(threadIdx.x);
  if (reinterpret_cast<uintptr_t>(from) % 16 != 0) {
    for (int i = tid; i < slice.count; i += kThreads)
      slice.logits[i] = mask.apply(from[i], slice.begin + i);
    return;
  }
  constexpr int kInFlight = 8;
  const int fours = slice.count / 4;
  for (int first = tid; first < fours; first += kInFlight * kThreads) {
    float4 four[kInFlight];
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      const int at = first + j * kThreads;
      four[j] = at < fours ? reinterpret_cast<const float4*>(from)[at] : float4{};
    }
#pragma unroll
    for (int j = 0; j < kInFlight; ++j) {
      const int at = first + j * kThreads;
      if (at >= fours)
        break;
      const int id = slice.begin + 4 * at;
      reinterpret_cast<float4*>(slice.logits)[at] =
          float4{mask.apply(four[j].x, id), mask.apply(four[j].y, id + 1),
                 mask.apply(four[j].z, id + 2), mask.apply(four[j].w, id + 3)};
    }
  }
  const int i = 4 * fours + tid;
  if (i < slice.count)
    slice.logits[i] = mask.apply(from[i], slice.begin + i);
}

// Calls act(logit, entry) for the entries whose ids lie in the slice: each id is there once.
template <typename Entry, typename Act>
__device__ void for_each_entry(const TokenDrawParams& p, const DrawList& list, const Slice& slice,
                               Act act) {
  const Entry* entry = entries<Entry>(p, list);
  if (list.count == 0)
    return;
  __syncthreads();
  for (int64_t i = threadIdx.x; i < list.count; i += kThreads) {
    const Entry one = entry[i];
    const int64_t at = int64_t{one.id} - slice.begin;
    if (at >= 0 && at < slice.count)
      slice.logits[at] = act(slice.logits[at], one);
  }
}

struct Id {
  int32_t id;
};
struct Bias {
  int32_t id;
  float bias;
};
struct Times {
  int32_t id, times;
};

__device__ void apply_changes(const TokenDrawParams& p, const DrawRow& row, const Slice& slice) {
  for_each_entry<Bias>(p, row.biases, slice,
                       [](float x, const Bias& one) { return biased_logit(x, one.bias); });
  for_each_entry<Id>(p, row.repeated, slice,
                     [&](float x, const Id&) { return repeated_logit(x, row.repetition_penalty); });
  for_each_entry<Times>(p, row.drawn, slice, [&](float x, const Times& one) {
    return drawn_logit(x, one.times, row.presence_penalty, row.frequency_penalty);
  });
  for_each_entry<Id>(p, row.banned, slice, [](float, const Id&) { return -INFINITY; });
  __syncthreads();
}

// ---- the best -----------------------------------------------------------------------------------

__device__ uint64_t warp_max(uint64_t x) {
  for (int step = 16; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(kWholeWarp, x, step);
    x = other > x ? other : x;
  }
  return x;
}

// Order key of the row's best, or kNoKey. Meets the cluster.
__device__ uint64_t find_best(Shared& s, const Slice& slice) {
  const int begin = static_cast<int>(threadIdx.x) * slice.each;
  const int end = min(slice.count, begin + slice.each);
  float best = -INFINITY;
  int best_at = 0;
  for (int i = begin; i < end; ++i) {
    const float x = slice.logits[i];
    if (x > best) {
      best = x;
      best_at = i;
    }
  }
  const unsigned lane = threadIdx.x % 32;
  uint64_t key = best == -INFINITY ? kNoKey : order_key(best, slice.begin + best_at);
  key = warp_max(key);
  if (lane == 0)
    s.scratch[threadIdx.x / 32] = key;
  __syncthreads();
  key = warp_max(lane < kThreads / 32 ? s.scratch[lane] : kNoKey);
  if (threadIdx.x == 0)
    s.best = key;
  cluster_sync();
  return warp_max(lane < kBlocks ? *of_block(&s.best, lane) : kNoKey);
}

// ---- the nucleus --------------------------------------------------------------------------------

// What a logit weighs in this row.
struct Scale {
  float largest, inverse_temperature, bins;

  __device__ float weight(float logit) const {
    return draw_weight((logit - largest) * inverse_temperature);
  }
  __device__ int bin(float logit) const { return draw_bin(largest - logit, bins); }
};

// Which part of a histogram a logit belongs to: of the first one, or of one that splits its part
// `split`, better ids then being in part -1 and worse ones behind the last. Falls as logits rise.
struct Place {
  Scale scale;
  int split;  // -1: the first one

  __device__ int operator()(float logit) const {
    const int bin = scale.bin(logit);
    if (split < 0)
      return bin;
    if (bin != split)
      return bin < split ? -1 : kDrawBins;
    const float at = ((scale.largest - logit) * scale.bins - static_cast<float>(split)) * kDrawBins;
    return at < static_cast<float>(kDrawBins - 1) ? max(0, static_cast<int>(at)) : kDrawBins - 1;
  }
};

__device__ void clear_bins(Shared& s) {
  for (int i = static_cast<int>(threadIdx.x); i < kDrawBins; i += kThreads)
    s.bins.low[i] = s.bins.high[i] = 0;
  if (threadIdx.x == 0)
    s.count = 0;
  __syncthreads();
}

// Adds up all blocks' bins in block 0. Meets the cluster before and after.
__device__ void fill_bins(Shared& s, const Slice& slice, const Place& place, bool count_ids) {
  clear_bins(s);
  for (int i = static_cast<int>(threadIdx.x); i < slice.count; i += kThreads) {
    const float x = slice.logits[i];
    const int bin = place(x);
    if (bin < 0 || bin >= kDrawBins)
      continue;
    const uint64_t weight = units(place.scale.weight(x));
    if (weight == 0)
      continue;
    atomicAdd(&s.bins.low[bin], count_ids ? 1U : static_cast<uint32_t>(weight & 0xffffU));
    if (!count_ids)
      atomicAdd(&s.bins.high[bin], static_cast<uint32_t>(weight >> 16));
  }
  cluster_sync();
  constexpr unsigned kShare = kDrawBins / kBlocks;
  if (threadIdx.x < kShare) {
    const unsigned bin = cluster_rank() * kShare + threadIdx.x;
    uint64_t sum = 0;
    for (unsigned block = 0; block < kBlocks; ++block) {
      sum += *of_block(&s.bins.low[bin], block);
      sum += static_cast<uint64_t>(*of_block(&s.bins.high[bin], block)) << 16;
    }
    *of_block(&s.bins.low[bin], 0) = static_cast<uint32_t>(sum);
    *of_block(&s.bins.high[bin], 0) = static_cast<uint32_t>(sum >> 32);
  }
  cluster_sync();
}

// What a running sum over the ranked ids is to reach.
struct Goal {
  int top_k;     // ids; 0: weight
  double share;  // of all weight

  __device__ bool is_reached(uint64_t sum) const {
    return top_k > 0 ? sum >= static_cast<uint64_t>(top_k) : in_double(sum) >= share;
  }
};

// Block 0: the first part in which the sum, `before` the first one, reaches the goal, or the last.
// With `share` of the goal not known yet (negative) it becomes top_p of everything.
__device__ void find_crossing(Shared& s, uint64_t before, float top_p, Goal& goal) {
  uint64_t bins[kBinsEach];
  uint64_t mine = 0;
  const int first = static_cast<int>(threadIdx.x) * kBinsEach;
#pragma unroll
  for (int i = 0; i < kBinsEach; ++i) {
    bins[i] = s.bins.low[first + i] | static_cast<uint64_t>(s.bins.high[first + i]) << 32;
    mine += bins[i];
  }
  const RunningSum<uint64_t> sum = block_running_sum(mine, s.scratch);
  if (goal.share < 0)
    goal.share = static_cast<double>(top_p) * in_double(sum.total);
  before += sum.before;
#pragma unroll
  for (int i = 0; i < kBinsEach; ++i) {
    const uint64_t after = before + bins[i];
    const int bin = first + i;
    const bool open = bin == 0 || !goal.is_reached(before);
    if (open && (goal.is_reached(after) || bin == kDrawBins - 1)) {
      s.crossing = bin;
      s.before = before;
    }
    before = after;
  }
}

// Rank keys of the ids that need ranking, in any order, at most kMostCandidates.
__device__ void gather(Shared& s, const Slice& slice, const Place& place, int least, int most) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  for (int first = 0; first < slice.count; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    const float x = i < slice.count ? slice.logits[i] : -INFINITY;
    const int bin = place(x);
    const bool wanted = bin >= least && bin <= most && place.scale.weight(x) > 0;
    const unsigned votes = __ballot_sync(kWholeWarp, wanted);
    if (votes == 0)
      continue;
    int at = 0;
    if (lane == 0)
      at = atomicAdd(&s.count, __popc(votes));
    at = __shfl_sync(kWholeWarp, at, 0) + __popc(votes & ((1U << lane) - 1));
    if (wanted && at < kMostCandidates)
      s.candidates[at] = rank_key(x, slice.begin + i);
  }
}

// Block 0: everybody's candidates behind its own. Returns how many there are.
__device__ int collect(Shared& s) {
  int at = s.count;
  for (unsigned block = 1; block < kBlocks; ++block) {
    const int count = *of_block(&s.count, block);
    const uint64_t* from = of_block(s.candidates, block);
    for (int i = static_cast<int>(threadIdx.x); i < count && at + i < kMostCandidates;
         i += kThreads)
      s.candidates[at + i] = from[i];
    at += count;
  }
  __syncthreads();
  return at;
}

// Ascending; a bitonic network whose comparators all point the same way, so that what lies behind
// `count` may be thought of as endlessly large and left out.
__device__ void sort(uint64_t* keys, int count) {
  const auto order = [&](int a, int b) {
    if (b < count && keys[a] > keys[b]) {
      const uint64_t key = keys[a];
      keys[a] = keys[b];
      keys[b] = key;
    }
  };
  const int tid = static_cast<int>(threadIdx.x);
  for (int half = 1; half < count; half *= 2) {
    for (int i = tid; i < count; i += kThreads) {
      const int offset = i & (half - 1);
      const int begin = 2 * (i - offset);
      order(begin + offset, begin + 2 * half - 1 - offset);
    }
    __syncthreads();
    for (int step = half / 2; step > 0; step /= 2) {
      for (int i = tid; i < count; i += kThreads) {
        const int offset = i & (step - 1);
        const int a = 2 * (i - offset) + offset;
        order(a, a + step);
      }
      __syncthreads();
    }
  }
}

// A thread's neighbours among the sorted candidates, with running sums of weight.
struct Ranked {
  int first;
  float weights[kCandidatesEach];
  uint64_t before, total;

  __device__ Ranked(Shared& s, int count, const Scale& scale)
      : first(static_cast<int>(threadIdx.x) * kCandidatesEach) {
    uint64_t mine = 0;
#pragma unroll
    for (int i = 0; i < kCandidatesEach; ++i) {
      weights[i] = first + i < count ? scale.weight(logit_of_rank(s.candidates[first + i])) : 0.0F;
      mine += units(weights[i]);
    }
    const RunningSum<uint64_t> sum = block_running_sum(mine, s.scratch);
    before = sum.before;
    total = sum.total;
  }
};

// Block 0: draws among the top_k best that top_p and min_p leave, in order of rank.
__device__ int draw_ranked(Shared& s, const DrawRow& row, const Scale& scale, int gathered) {
  const int count = min(gathered, row.top_k);
  const Ranked ranked(s, count, scale);
  const double share = static_cast<double>(row.top_p) * in_double(ranked.total);
  if (threadIdx.x == 0) {
    s.stays = count;
    s.last = s.candidates[0];  // what is drawn if rounding makes the draw fall behind the last
  }
  __syncthreads();
  uint64_t sum = ranked.before;
#pragma unroll
  for (int i = 0; i < kCandidatesEach; ++i) {
    const int at = ranked.first + i;
    const bool stays = (at == 0 || in_double(sum) < share) && ranked.weights[i] >= row.min_p;
    if (at < count && !stays)
      atomicMin(&s.stays, at);
    sum += units(ranked.weights[i]);
  }
  __syncthreads();
  const int stays = s.stays;
  sum = ranked.before;
#pragma unroll
  for (int i = 0; i < kCandidatesEach; ++i) {
    sum += units(ranked.weights[i]);
    if (ranked.first + i == stays - 1)
      s.kept = sum;
  }
  __syncthreads();
  const uint64_t goal = draw_at(row.uniform, s.kept);
  sum = ranked.before;
#pragma unroll
  for (int i = 0; i < kCandidatesEach; ++i) {
    const uint64_t after = sum + units(ranked.weights[i]);
    if (ranked.first + i < stays && sum <= goal && goal < after)
      s.last = s.candidates[ranked.first + i];
    sum = after;
  }
  __syncthreads();
  return id_of_rank(s.last);
}

// Block 0: the last of the crossing part's ids whose predecessors hold less than the share.
__device__ void find_last(Shared& s, const Scale& scale, int count, double share) {
  const Ranked ranked(s, count, scale);
  uint64_t sum = s.before + ranked.before;
#pragma unroll
  for (int i = 0; i < kCandidatesEach; ++i) {
    const int at = ranked.first + i;
    const uint64_t after = sum + units(ranked.weights[i]);
    if (at < count && in_double(sum) < share && (at == count - 1 || in_double(after) >= share))
      s.last = s.candidates[at];
    sum = after;
  }
}

// ---- the draw -----------------------------------------------------------------------------------

// What of a slice stays, and what it weighs.
struct Filter {
  Scale scale;
  uint64_t last;  // rank key
  float min_p;

  __device__ uint64_t weight(const Slice& slice, int i) const {
    const float x = slice.logits[i];
    if (rank_key(x, slice.begin + i) > last)
      return 0;
    const float weight = scale.weight(x);
    return weight >= min_p ? units(weight) : 0;
  }
};

// Draws from all that stays in order of ids. Meets the cluster.
__device__ void draw_from_all(Shared& s, const Slice& slice, const Filter& filter, double uniform,
                              int best, int32_t* id) {
  const int begin = static_cast<int>(threadIdx.x) * slice.each;
  const int end = min(slice.count, begin + slice.each);
  uint64_t mine = 0;
  for (int i = begin; i < end; ++i) mine += filter.weight(slice, i);
  const RunningSum<uint64_t> sum = block_running_sum(mine, s.scratch);
  if (threadIdx.x == 0)
    s.total = sum.total;
  cluster_sync();
  uint64_t before = sum.before;
  uint64_t total = 0;
  for (unsigned block = 0; block < kBlocks; ++block) {
    const uint64_t one = *of_block(&s.total, block);
    before += block < cluster_rank() ? one : 0;
    total += one;
  }
  const uint64_t goal = draw_at(uniform, total);
  if (goal >= total && cluster_rank() == 0 && threadIdx.x == 0)
    *id = best;  // the product was rounded up to the whole
  if (goal < before || goal >= before + mine)
    return;
  for (int i = begin; i < end; ++i) {
    before += filter.weight(slice, i);
    if (goal < before) {
      *id = slice.begin + i;
      return;
    }
  }
}

// Gathers in block 0 the ids that need ranking: those of the crossing part, with top_k also all
// better ones. Returns how many there are, in block 0. Meets the cluster.
__device__ int find_candidates(Shared& s, const Slice& slice, const Place& place, float top_p,
                               Goal& goal) {
  const bool leads = cluster_rank() == 0;
  const bool counts = goal.top_k > 0;
  fill_bins(s, slice, place, counts);
  if (leads)
    find_crossing(s, place.split < 0 ? 0 : s.before, top_p, goal);
  cluster_sync();  // from here on candidates may replace bins
  const int crossing = *of_block(&s.crossing, 0);
  gather(s, slice, place, counts ? -1 : crossing, crossing);
  cluster_sync();
  const int count = leads ? collect(s) : 0;
  if (leads && threadIdx.x == 0)
    s.too_many = count > kMostCandidates ? 1 : 0;
  cluster_sync();
  return count;
}

// Finds what top_k or top_p leaves. Returns whether a draw from all is to follow, with the ids up
// to s.last of block 0. Every thread of the cluster returns the same.
__device__ bool cut(Shared& s, const Slice& slice, const DrawRow& row, const Scale& scale,
                    int32_t* id) {
  Goal goal{row.top_k, -1};
  int count = find_candidates(s, slice, {scale, -1}, row.top_p, goal);
  if (*of_block(&s.too_many, 0) != 0)
    count = find_candidates(s, slice, {scale, *of_block(&s.crossing, 0)}, row.top_p, goal);
  const bool too_many = *of_block(&s.too_many, 0) != 0;
  if (cluster_rank() == 0) {
    int drawn = kTooManyCandidates;
    if (!too_many) {
      sort(s.candidates, count);
      if (goal.top_k > 0) {
        drawn = draw_ranked(s, row, scale, count);
      } else {
        find_last(s, scale, count, goal.share);
      }
    }
    if (threadIdx.x == 0 && (too_many || goal.top_k > 0))
      *id = drawn;
  }
  cluster_sync();
  return !too_many && goal.top_k == 0;
}

__device__ void draw(Shared& s, const Slice& slice, const DrawRow& row, int32_t* id) {
  const uint64_t best = find_best(s, slice);
  const bool writes = cluster_rank() == 0 && threadIdx.x == 0;
  const int best_id = best == kNoKey ? kNoToken : id_of_rank(~best);
  if (best == kNoKey || row.inverse_temperature == 0) {
    if (writes)
      *id = best_id;
    return;
  }
  const Scale scale{logit_of_rank(~best), row.inverse_temperature,
                    draw_bin_scale(row.inverse_temperature)};
  Filter filter{scale, ~uint64_t{0}, row.min_p};
  if (row.top_k > 0 || row.top_p < 1) {
    if (!cut(s, slice, row, scale, id))
      return;
    filter.last = *of_block(&s.last, 0);
  }
  draw_from_all(s, slice, filter, row.uniform, best_id, id);
}

__global__ void __cluster_dims__(kBlocks, 1, 1) __launch_bounds__(kThreads, 2)
    token_draw_kernel(const TokenDrawParams p, int each_block) {
  extern __shared__ __align__(16) char memory[];
  Shared& s = *reinterpret_cast<Shared*>(memory);
  const int64_t n = blockIdx.x / kBlocks;
  const DrawRow& row = reinterpret_cast<const DrawRow*>(p.upload)[n];
  const int begin = static_cast<int>(cluster_rank()) * each_block;
  const int count = max(0, min(each_block, static_cast<int>(p.vocab) - begin));
  const Slice slice{reinterpret_cast<float*>(memory + sizeof(Shared)), begin, count,
                    (each_block + kThreads - 1) / kThreads | 1};
  if (threadIdx.x == 0)
    s.last = ~uint64_t{0};  // everything stays
  load(slice, p.logits + n * p.vocab,
       {row.allowed.count == 0 ? nullptr : entries<uint32_t>(p, row.allowed)});
  apply_changes(p, row, slice);
  draw(s, slice, row, p.ids + n);
  cluster_sync();  // others may still read what lies here
}

__global__ void too_many_kernel(int32_t* ids, int64_t rows) {
  const int64_t n = blockIdx.x * static_cast<int64_t>(blockDim.x) + threadIdx.x;
  if (n < rows)
    ids[n] = kTooManyCandidates;
}

}  // namespace

void launch_token_draw(const TokenDrawParams& params, cudaStream_t stream) {
  // Whole vectors of 16 bytes.
  const int64_t each = ((params.vocab + kBlocks - 1) / kBlocks + 3) / 4 * 4;
  const int64_t bytes = static_cast<int64_t>(sizeof(Shared)) + each * int64_t{sizeof(float)};
  if (params.rows == 0)
    return;
  if (bytes > kMostSharedBytes) {
    too_many_kernel<<<static_cast<unsigned>((params.rows + 255) / 256), 256, 0, stream>>>(
        params.ids, params.rows);
  } else {
    MM_CUDA(cudaFuncSetAttribute(token_draw_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 kMostSharedBytes));
    token_draw_kernel<<<static_cast<unsigned>(kBlocks * params.rows), kThreads,
                        static_cast<size_t>(bytes), stream>>>(params, static_cast<int>(each));
  }
  MM_CUDA(cudaGetLastError());
}

}  // namespace mm::cuda
