#include "ops/cpu/linear.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "base/check.h"
#include "ops/cpu/linear_kernels.h"
#include "ops/cpu/ops.h"
#include "tensor/buffer.h"

namespace mm::cpu {
namespace {

// A product below this many multiply-adds is done by the caller: it takes less than the barrier.
constexpr int64_t kInlineWork = 24 * 1024;
// Packing below this many elements likewise.
constexpr int64_t kInlinePack = 16 * 1024;
// Half of the 512 KB second-level cache of the smallest machine we know: the other half passes
// activations and results.
constexpr int64_t kPanelBytes = 192 * 1024;
// Where K takes several passes, that half is shared with sums of kGroupRows rows of x, which a
// panel is decoded anew for: one part in a hundred of the multiplications.
constexpr int64_t kPassPanelBytes = 128 * 1024;
constexpr int64_t kGroupRows = 128;
// Packed rows of x that may pass by every few weight rows without a panel: half of the second-level
// cache of the machines that multiply so.
constexpr int64_t kDirectBytes = 512 * 1024;
// Weight bytes that a thread takes at a time when weights only stream by.
constexpr int64_t kStreamBytes = 1024 * 1024;
// Tiles of x up to which they do.
constexpr int64_t kStreamTiles = 4;
// Tasks per thread when the work is shared out on demand: uneven cores cost at most one part in so
// many.
constexpr int64_t kTasksPerThread = 8;
constexpr int64_t kAlign = 64;

int64_t round_up(int64_t value, int64_t unit) {
  return (value + unit - 1) / unit * unit;
}

/// One activation matrix in one packed order, shared by the products that read it.
struct PackJob {
  const LinearKernels* kernels = nullptr;
  ActivationRows x;
  WeightRows w;  // any of the weights: names the order
  int order = 0;
  PackedRows packed;
  int64_t offset = 0;  // of packed.data in the arena
  int64_t first_tile = 0;

  int64_t bytes() const { return packed.tiles * packed.tile_rows * kernels->packed_row_bytes(w); }
};

/// One product, and how it is cut into tasks: `row_tasks` × `tile_tasks`.
struct Product {
  const LinearKernels* kernels = nullptr;
  ProductArgs args;
  size_t pack = 0;
  int64_t rows = 0;  // of w
  bool direct = false;
  bool silu = false;  // of what the product writes
  int64_t panel_rows = 0;
  int64_t group_tiles = 0;
  int64_t block_tiles = 0;
  int64_t task_rows = 0;
  int64_t task_tiles = 0;
  int64_t row_tasks = 0;
  int64_t first_task = 0;
};

/// The work of one parallel region.
struct Plan {
  std::vector<PackJob> packs;
  std::vector<Product> products;
  const GatedArgs* gated = nullptr;  // then products are pairs, gate and up, that share tasks
  int64_t tasks = 0;
  int64_t work = 0;  // multiply-adds
};

}  // namespace

struct LinearScratch::State {
  LinearIsa isa = LinearIsa::kPortable;
  const LinearKernels* f32 = nullptr;
  const LinearKernels* bf16 = nullptr;  // for bf16 activations, where the set has such kernels
  Plan plan;
  Buffer arena;   // packed activations
  Buffer blocks;  // a panel and sums per thread
};

LinearScratch::LinearScratch(LinearIsa isa) : state_(std::make_unique<State>()) {
  MM_CHECK(is_available(isa), "{} cannot run here", to_string(isa));
  state_->isa = isa;
  state_->f32 = &portable_kernels();
#if defined(__x86_64__)
  if (isa == LinearIsa::kAvx2)
    state_->f32 = &avx2_kernels();
  if (isa == LinearIsa::kAvx512Bf16) {
    state_->f32 = &avx512_kernels();
    state_->bf16 = &avx512_bf16_kernels();
  }
#endif
}
LinearScratch::~LinearScratch() = default;
LinearScratch::LinearScratch(LinearScratch&&) noexcept = default;
LinearScratch& LinearScratch::operator=(LinearScratch&&) noexcept = default;

LinearIsa LinearScratch::isa() const {
  return state_->isa;
}

namespace {

using State = LinearScratch::State;

// ---- descriptions ------------------------------------------------------------------------------

bool is_bf16(const TensorView& view) {
  MM_CHECK(view.dtype == DType::kF32 || view.dtype == DType::kBf16, "expected float, got {}",
           to_string(view));
  return view.dtype == DType::kBf16;
}

WeightKind kind_of(const Weight& w) {
  switch (w.format) {
    case QuantFormat::kInt8Channel:
      MM_CHECK(w.data.dtype == DType::kI8, "int8 weights are {}", to_string(w.data));
      return WeightKind::kInt8;
    case QuantFormat::kFp8Channel:
      MM_CHECK(w.data.dtype == DType::kF8E4M3, "fp8 weights are {}", to_string(w.data));
      return WeightKind::kFp8;
    case QuantFormat::kInt4Group:
      MM_CHECK(w.data.dtype == DType::kI32, "int4 weights are {}", to_string(w.data));
      return WeightKind::kInt4;
    case QuantFormat::kNone:
      break;
  }
  if (w.data.dtype == DType::kBf16)
    return WeightKind::kBf16;
  if (w.data.dtype == DType::kF16)
    return WeightKind::kF16;
  MM_CHECK(w.data.dtype == DType::kF32, "no product with weights {}", to_string(w.data));
  return WeightKind::kF32;
}

WeightRows describe(const Weight& w) {
  WeightRows rows;
  rows.kind = kind_of(w);
  rows.data = static_cast<const uint8_t*>(w.data.data);
  rows.row_bytes = w.data.stride(0) * size_of(w.data.dtype);
  rows.cols = w.cols;
  if (w.format != QuantFormat::kNone) {
    rows.bf16_scales = is_bf16(w.scales) ? 1 : 0;
    rows.scales = static_cast<const uint8_t*>(w.scales.data);
    rows.scale_row_bytes = w.scales.stride(0) * size_of(w.scales.dtype);
  }
  if (rows.kind == WeightKind::kInt4) {
    rows.group_size = w.group_size;
    MM_CHECK((w.group_size == 32 || w.group_size == 64 || w.group_size == 128) &&
                 w.cols % w.group_size == 0,
             "{} columns in groups of {}", w.cols, w.group_size);
  }
  return rows;
}

ActivationRows describe_rows(const TensorView& x) {
  MM_CHECK(x.rank == 2 && (x.stride(1) == 1 || x.dim(1) <= 1), "x is {}", to_string(x));
  ActivationRows rows;
  rows.bf16 = is_bf16(x) ? 1 : 0;
  rows.data = static_cast<const uint8_t*>(x.data);
  rows.row_bytes = x.stride(0) * size_of(x.dtype);
  rows.rows = x.dim(0);
  rows.cols = x.dim(1);
  return rows;
}

OutputRows describe_out(const TensorView& out) {
  MM_CHECK(out.rank == 2 && (out.stride(1) == 1 || out.dim(1) <= 1), "out is {}", to_string(out));
  return {static_cast<uint8_t*>(out.data), out.stride(0) * size_of(out.dtype),
          static_cast<uint8_t>(is_bf16(out) ? 1 : 0)};
}

// ---- planning ----------------------------------------------------------------------------------

/// One tile if that is enough, else the size that leaves the fewest rows to fill up, of equal ones
/// the largest. Tiles under two thirds of the largest have too few chains of multiply-adds.
int choose_tile_rows(int64_t rows, int most) {
  if (rows <= most)
    return static_cast<int>(rows);
  int best = most;
  for (int size = most - 1; size * 3 >= most * 2; --size) {
    if (round_up(rows, size) < round_up(rows, best))
      best = size;
  }
  return best;
}

/// The job that packs x for `w`: one that is already planned if its order is the same.
size_t plan_pack(Plan& plan, const LinearKernels& kernels, const ActivationRows& x,
                 const WeightRows& w) {
  const int order = kernels.packed_order(w);
  for (size_t i = 0; i < plan.packs.size(); ++i) {
    const PackJob& job = plan.packs[i];
    if (job.kernels == &kernels && job.order == order && job.x.data == x.data &&
        job.x.rows == x.rows)
      return i;
  }
  PackJob job;
  job.kernels = &kernels;
  job.x = x;
  job.w = w;
  job.order = order;
  job.packed.rows = x.rows;
  job.packed.tile_rows = choose_tile_rows(x.rows, kernels.max_tile_rows);
  job.packed.tiles = (x.rows + job.packed.tile_rows - 1) / job.packed.tile_rows;
  plan.packs.push_back(job);
  return plan.packs.size() - 1;
}

void plan_product(State& state, const ActivationRows& x, const Weight& weight,
                  const OutputRows& out, bool silu = false) {
  MM_CHECK(x.cols == weight.cols, "x has {} columns, w {}", x.cols, weight.cols);
  if (x.rows == 0 || weight.rows == 0)
    return;
  Product product;
  product.args.w = describe(weight);
  product.args.out = out;
  product.rows = weight.rows;
  product.silu = silu;
  const bool pairs = x.bf16 != 0 && state.bf16 != nullptr && state.bf16->supports(product.args.w);
  product.kernels = pairs ? state.bf16 : state.f32;
  product.pack = plan_pack(state.plan, *product.kernels, x, product.args.w);
  const LinearKernels& kernels = *product.kernels;
  product.direct = x.rows <= kernels.max_direct_rows(product.args.w) &&
                   (x.rows <= kernels.max_tile_rows ||
                    x.rows * kernels.packed_row_bytes(product.args.w) <= kDirectBytes);
  state.plan.work += x.rows * weight.rows * weight.cols;
  state.plan.products.push_back(product);
}

/// Gives every pack job its memory, in one arena.
void place_packs(State& state) {
  int64_t bytes = 0;
  for (PackJob& job : state.plan.packs) {
    job.offset = bytes;
    bytes += round_up(job.bytes(), kAlign);
  }
  if (state.arena.size() < bytes)
    state.arena = Buffer(bytes);
  for (PackJob& job : state.plan.packs)
    job.packed.data = static_cast<uint8_t*>(state.arena.data()) + job.offset;
  for (Product& product : state.plan.products)
    product.args.x = state.plan.packs[product.pack].packed;
}

void cut_direct(Product& product, const Plan& plan, int threads) {
  const int64_t unit = product.kernels->tile_cols;
  // Weights that stream by want long tasks. From some tiles of x on multiplying takes longer, and
  // smaller tasks end together.
  const int64_t parts =
      std::clamp<int64_t>(product.args.x.tiles / kStreamTiles, 1, kTasksPerThread) * threads;
  const int64_t share = round_up(
      std::max<int64_t>(1, plan.work / (product.args.w.cols * product.args.x.rows + 1) / parts),
      unit);
  const int64_t stream =
      round_up(kStreamBytes / std::max<int64_t>(1, product.args.w.row_bytes), unit);
  product.task_rows = std::max(unit, std::min(share, stream));
  product.task_tiles = product.args.x.tiles;
}

bool takes_passes(const Product& product) {
  return product.kernels->packed_row_bytes(product.args.w) >
         product.kernels->pass_row_bytes(product.args.w);
}

/// How a product's operands are kept in caches.
void choose_blocks(Product& product) {
  const LinearKernels& kernels = *product.kernels;
  const PackedRows& x = product.args.x;
  const int64_t unit = kernels.tile_cols;
  const int64_t tile_bytes = kernels.pass_row_bytes(product.args.w) * x.tile_rows;
  product.block_tiles =
      std::max<int64_t>(1, kernels.block_bytes / std::max<int64_t>(1, tile_bytes));
  const int64_t row_bytes = std::max<int64_t>(1, kernels.panel_row_bytes(product.args.w));
  const bool passes = takes_passes(product);
  product.panel_rows = (passes ? kPassPanelBytes : kPanelBytes) / row_bytes / unit * unit;
  product.group_tiles = passes ? round_up(kGroupRows / x.tile_rows, product.block_tiles) : x.tiles;
  // When all of x stays in the first-level cache, so can the decoded weights.
  if (x.tiles <= product.block_tiles)
    product.panel_rows = unit;
}

void cut_blocked(Product& product, const Plan& plan, int threads) {
  const PackedRows& x = product.args.x;
  const int64_t unit = product.kernels->tile_cols;
  choose_blocks(product);
  // This product's part of all tasks, of which a pair needs one for both.
  const double part = static_cast<double>(product.rows * x.rows * product.args.w.cols) /
                      static_cast<double>(std::max<int64_t>(1, plan.work));
  const auto wanted = std::max<int64_t>(
      1, static_cast<int64_t>(part * static_cast<double>(kTasksPerThread * threads *
                                                         (plan.gated != nullptr ? 2 : 1))));
  product.task_rows = round_up((product.rows + wanted - 1) / wanted, unit);
  product.panel_rows = std::clamp(product.panel_rows, unit, product.task_rows);
  product.task_tiles = x.tiles;
  const int64_t row_tasks = (product.rows + product.task_rows - 1) / product.task_rows;
  if (row_tasks * 2 <= wanted)  // few rows of w: share out the rows of x too
    product.task_tiles = round_up((x.tiles * row_tasks + wanted - 1) / wanted, product.block_tiles);
}

int64_t panel_bytes(const Product& product) {
  return round_up(product.panel_rows * product.kernels->panel_row_bytes(product.args.w), kAlign);
}

int64_t sum_bytes(const Product& product) {
  if (!takes_passes(product))
    return 0;
  return product.panel_rows * product.group_tiles * product.args.x.tile_rows *
         product.kernels->sum_bytes;
}

/// Cuts products into tasks and reserves a panel per thread.
void cut_tasks(State& state, int threads) {
  Plan& plan = state.plan;
  int64_t block_bytes = 0;
  for (size_t i = 0; i < plan.products.size(); ++i) {
    Product& product = plan.products[i];
    if (product.direct) {
      cut_direct(product, plan, threads);
    } else {
      cut_blocked(product, plan, threads);
      block_bytes = std::max(block_bytes, panel_bytes(product) + sum_bytes(product));
    }
    product.row_tasks = (product.rows + product.task_rows - 1) / product.task_rows;
    if (plan.gated != nullptr && i % 2 == 1) {  // of the shape of its mate, and so cut alike
      product.first_task = plan.products[i - 1].first_task;
      continue;
    }
    product.first_task = plan.tasks;
    plan.tasks +=
        product.row_tasks * ((product.args.x.tiles + product.task_tiles - 1) / product.task_tiles);
  }
  block_bytes = round_up(block_bytes, kAlign) * threads;
  if (state.blocks.size() < block_bytes)
    state.blocks = Buffer(block_bytes);
}

// ---- running -----------------------------------------------------------------------------------

void pack_all(ThreadPool& pool, Plan& plan) {
  int64_t tiles = 0;
  int64_t elements = 0;
  for (PackJob& job : plan.packs) {
    job.first_tile = tiles;
    tiles += job.packed.tiles;
    elements += job.x.rows * job.x.cols;
  }
  const auto pack = [&](int64_t begin, int64_t end, int) {
    for (const PackJob& job : plan.packs) {
      const int64_t first = std::max<int64_t>(begin - job.first_tile, 0);
      const int64_t last = std::min(end - job.first_tile, job.packed.tiles);
      if (first < last)
        job.kernels->pack(job.x, job.w, job.packed, first, last);
    }
  };
  pool.parallel_for(tiles, elements < kInlinePack ? tiles : 1, pack);
}

/// What a task does of a product: weight rows and tiles of x.
struct Part {
  int64_t row_begin, row_end;
  int64_t tile_begin, tile_end;
};

Part part_of(const Product& product, int64_t task) {
  const int64_t index = task - product.first_task;
  Part part{};
  part.row_begin = index % product.row_tasks * product.task_rows;
  part.row_end = std::min(part.row_begin + product.task_rows, product.rows);
  part.tile_begin = index / product.row_tasks * product.task_tiles;
  part.tile_end = std::min(part.tile_begin + product.task_tiles, product.args.x.tiles);
  return part;
}

void run_part(const Product& product, const Part& part, uint8_t* scratch) {
  if (product.direct) {
    product.kernels->direct(product.args, part.row_begin, part.row_end);
    return;
  }
  BlockArgs block;
  block.row_begin = part.row_begin;
  block.row_end = part.row_end;
  block.tile_begin = part.tile_begin;
  block.tile_end = part.tile_end;
  block.panel_rows = product.panel_rows;
  block.group_tiles = product.group_tiles;
  block.block_tiles = product.block_tiles;
  block.panel = scratch;
  block.sums = block.panel + panel_bytes(product);
  product.kernels->blocked(product.args, block);
}

/// Rows of x in a part.
std::pair<int64_t, int64_t> x_rows(const Product& product, const Part& part) {
  const PackedRows& x = product.args.x;
  return {part.tile_begin * x.tile_rows, std::min(part.tile_end * x.tile_rows, x.rows)};
}

void apply_silu(const Product& product, const Part& part) {
  const auto [begin, end] = x_rows(product, part);
  const OutputRows& out = product.args.out;
  silu_block(out.data + begin * out.row_bytes + part.row_begin * int64_t{sizeof(float)},
             end - begin, part.row_end - part.row_begin, out.row_bytes);
}

void apply_gate(const GatedArgs& args, const Product& product, const Part& part) {
  const auto [begin, end] = x_rows(product, part);
  const auto* sums = static_cast<const uint8_t*>(args.up_sums.data);
  const int64_t first = (product.args.out.data - sums) / product.args.out.row_bytes;
  silu_mul_block({args.gate_sums, args.up_sums, args.out, first + begin, first + end,
                  part.row_begin, part.row_end});
}

void run_task(const State& state, int64_t task, int thread, int threads) {
  const std::vector<Product>& products = state.plan.products;
  // The last product that begins at or before this task.
  const auto next = std::upper_bound(products.begin(), products.end(), task,
                                     [](int64_t t, const Product& p) { return t < p.first_task; });
  const Product& product = *(next - 1);
  const Part part = part_of(product, task);
  uint8_t* scratch = static_cast<uint8_t*>(state.blocks.data()) +
                     state.blocks.size() / threads / kAlign * kAlign * thread;
  if (state.plan.gated != nullptr)
    run_part(*(next - 2), part, scratch);
  run_part(product, part, scratch);
  if (state.plan.gated != nullptr)
    apply_gate(*state.plan.gated, product, part);
  if (product.silu)
    apply_silu(product, part);
}

void run_plan(ThreadPool& pool, State& state) {
  Plan& plan = state.plan;
  if (plan.products.empty())
    return;
  place_packs(state);
  cut_tasks(state, pool.size());
  pack_all(pool, plan);
  if (plan.work < kInlineWork || pool.size() == 1 || plan.tasks == 1) {
    for (int64_t task = 0; task < plan.tasks; ++task) run_task(state, task, 0, pool.size());
    return;
  }
  std::atomic<int64_t> next{0};
  pool.run([&](int thread) {
    for (int64_t task = next.fetch_add(1, std::memory_order_relaxed); task < plan.tasks;
         task = next.fetch_add(1, std::memory_order_relaxed))
      run_task(state, task, thread, pool.size());
  });
}

void clear_plan(State& state) {
  state.plan.packs.clear();
  state.plan.products.clear();
  state.plan.gated = nullptr;
  state.plan.tasks = 0;
  state.plan.work = 0;
}

}  // namespace

void linear(ThreadPool& pool, LinearScratch& scratch, const TensorView& x, const Weight& w,
            const TensorView& out) {
  const Projection projection{w, out};
  project(pool, scratch, x, {&projection, 1});
}

void project(ThreadPool& pool, LinearScratch& scratch, const TensorView& x,
             std::span<const Projection> projections) {
  State& state = scratch.state();
  clear_plan(state);
  const ActivationRows rows = describe_rows(x);
  for (const auto& [w, out, silu] : projections) {
    MM_CHECK(out.dim(0) == x.dim(0) && out.dim(1) == w.rows, "x {}, w [{}, {}], out {}",
             to_string(x), w.rows, w.cols, to_string(out));
    plan_product(state, rows, w, describe_out(out), silu && out.dtype == DType::kF32);
  }
  run_plan(pool, state);
  for (const Projection& projection : projections) {
    if (projection.silu && projection.out.dtype != DType::kF32)
      cpu::silu(pool, projection.out);
  }
}

void grouped_linear(ThreadPool& pool, LinearScratch& scratch, const TensorView& x,
                    const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out) {
  MM_CHECK(offsets.dim(0) == static_cast<int64_t>(weights.size()) + 1, "{} weights, offsets {}",
           weights.size(), to_string(offsets));
  MM_CHECK(x.dim(0) == out.dim(0), "x {}, out {}", to_string(x), to_string(out));
  State& state = scratch.state();
  clear_plan(state);
  const int32_t* bounds = offsets.ptr<int32_t>();
  for (size_t e = 0; e < weights.size(); ++e) {
    if (bounds[e] == bounds[e + 1])
      continue;
    MM_CHECK(out.dim(1) == weights[e].rows, "w [{}, {}], out {}", weights[e].rows, weights[e].cols,
             to_string(out));
    plan_product(state, describe_rows(x.slice(bounds[e], bounds[e + 1])), weights[e],
                 describe_out(out.slice(bounds[e], bounds[e + 1])));
  }
  run_plan(pool, state);
}

void grouped_gated(ThreadPool& pool, LinearScratch& scratch, const GatedArgs& args) {
  State& state = scratch.state();
  clear_plan(state);
  const int32_t* bounds = args.offsets.ptr<int32_t>();
  for (size_t e = 0; e < args.gate.size(); ++e) {
    const auto rows = [&](const TensorView& view) { return view.slice(bounds[e], bounds[e + 1]); };
    if (bounds[e] == bounds[e + 1])
      continue;
    plan_product(state, describe_rows(rows(args.x)), args.gate[e],
                 describe_out(rows(args.gate_sums)));
    plan_product(state, describe_rows(rows(args.x)), args.up[e], describe_out(rows(args.up_sums)));
  }
  state.plan.gated = &args;
  run_plan(pool, state);
}

}  // namespace mm::cpu
