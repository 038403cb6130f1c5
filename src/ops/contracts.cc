#include "ops/contracts.h"

#include "tensor/matcher.h"

namespace mm::contracts {
namespace {

constexpr DTypeSet kF32 = DTypeSet::kF32;
constexpr DTypeSet kI32 = DTypeSet::kI32;
constexpr DTypeSet kFloat = DTypeSet::kFloat;
constexpr DTypeSet kStored = DTypeSet::kStored;

bool same_shape(const TensorView& a, const TensorView& b) {
  if (a.rank != b.rank)
    return false;
  for (int axis = 0; axis < a.rank; ++axis) {
    if (a.dim(axis) != b.dim(axis))
      return false;
  }
  return true;
}

bool is_float(const TensorView& view) {
  return view.dtype == DType::kF32 || view.dtype == DType::kBf16;
}

bool is_plain_float(const TensorView& view) {
  return is_float(view) && view.is_contiguous() && (view.data != nullptr || view.numel() == 0);
}

// `rows` and `cols` are the letters of a weight's sizes in the op's contract.
void match_weight(ShapeMatcher& match, const Weight& w, char rows, char cols) {
  match.bind("weight rows", rows, w.rows);
  match.bind("weight columns", cols, w.cols);
  ShapeMatcher packed("weight");
  packed.bind("rows", 'N', w.rows);
  switch (w.format) {
    case QuantFormat::kNone:
      packed.bind("cols", 'K', w.cols);
      packed("data", w.data, kStored, "N K");
      return;
    case QuantFormat::kInt8Channel:
      packed.bind("cols", 'K', w.cols);
      packed("data", w.data, DTypeSet::kI8, "N K");
      packed("scales", w.scales, kF32, "N 1");
      return;
    case QuantFormat::kFp8Channel:
      packed.bind("cols", 'K', w.cols);
      packed("data", w.data, DTypeSet::kF8, "N K");
      packed("scales", w.scales, kF32, "N 1");
      return;
    case QuantFormat::kInt4Group:
      match.require(w.group_size > 0 && w.group_size % 8 == 0 && w.cols % w.group_size == 0,
                    "the columns of an int4 weight are not a whole number of groups");
      packed.bind("words", 'W', w.cols / 8);
      packed.bind("groups", 'Q', w.cols / w.group_size);
      packed("data", w.data, kI32, "N W");
      packed("scales", w.scales, kFloat, "N Q");
      return;
  }
  match.require(false, "unknown weight format");
}

bool is_alike(const TensorView& a, const TensorView& b) {
  return a.dtype == b.dtype && a.rank == b.rank && a.shape == b.shape && a.strides == b.strides &&
         (a.data == nullptr) == (b.data == nullptr);
}

bool is_alike(const Weight& a, const Weight& b) {
  return a.format == b.format && a.group_size == b.group_size && a.rows == b.rows &&
         a.cols == b.cols && is_alike(a.data, b.data) && is_alike(a.scales, b.scales);
}

void match_ragged(ShapeMatcher& match, const Ragged& rows) {
  match("rows.offsets", rows.offsets, kI32, "N+1");
  match("rows.starts", rows.starts, kI32, "N");
}

void match_pages(ShapeMatcher& match, const PagedKv& kv) {
  match("kv.pages", kv.pages, DTypeSet::kCached, "B G 2 64 K");
  match("kv.block_table", kv.block_table, kI32, "N *", Layout::kUnitRows);
  if (is_scaled(kv.pages.dtype)) {
    match("kv.scales", kv.scales, kF32, "B G 2 64");
  } else {
    match.require(kv.scales.empty(), "kv.scales are given for pages that hold no codes");
  }
}

}  // namespace

bool embed(const TensorView& ids, const Weight& table, const TensorView& out) {
  ShapeMatcher match("embed");
  match("ids", ids, kI32, "T");
  match_weight(match, table, 'V', 'D');
  match("out", out, kF32, "T D");
  return out.numel() > 0;
}

bool rms_norm(const TensorView& x, const TensorView& weight, const TensorView& out) {
  ShapeMatcher match("rms_norm");
  match("x", x, kF32, "T D");
  match("weight", weight, kF32, "D");
  match("out", out, kFloat, "T D");
  return out.numel() > 0;
}

bool cast(const TensorView& x, const TensorView& out) {
  const ShapeMatcher match("cast");
  match.require(is_plain_float(x), "x is not a contiguous F32 or BF16 tensor");
  match.require(is_plain_float(out), "out is not a contiguous F32 or BF16 tensor");
  match.require(same_shape(x, out), "x and out differ in shape");
  return out.numel() > 0;
}

bool add_scaled(const TensorView& a, const TensorView& b, const TensorView& out) {
  ShapeMatcher match("add_scaled");
  match("a", a, kF32, "T D");
  match("b", b, kF32, "T D");
  match("out", out, kF32, "T D");
  return out.numel() > 0;
}

bool linear(const TensorView& x, const Weight& w, const TensorView& out) {
  ShapeMatcher match("linear");
  match("x", x, kFloat, "T K");
  match_weight(match, w, 'N', 'K');
  match("out", out, kFloat, "T N");
  return out.numel() > 0;
}

bool grouped_linear(const TensorView& x, const TensorView& offsets, std::span<const Weight> weights,
                    const TensorView& out) {
  ShapeMatcher match("grouped_linear");
  match("x", x, kFloat, "S K");
  match("offsets", offsets, kI32, "E+1");
  match.bind("weights", 'E', static_cast<int64_t>(weights.size()));
  match("out", out, kFloat, "S N");
  if (!weights.empty())
    match_weight(match, weights[0], 'N', 'K');
  for (const Weight& w : weights)
    match.require(is_alike(w, weights[0]), "the weights are not all of one shape and format");
  return out.numel() > 0;
}

bool project(const TensorView& x, std::span<const Projection> projections) {
  for (const Projection& projection : projections) {
    ShapeMatcher match("project");
    match("x", x, kFloat, "T K");
    match_weight(match, projection.w, 'N', 'K');
    match("out", projection.out, kFloat, "T N");
  }
  return x.dim(0) > 0 && !projections.empty();
}

bool grouped_gated(const GatedArgs& args) {
  ShapeMatcher match("grouped_gated");
  match("x", args.x, kFloat, "S D");
  match("offsets", args.offsets, kI32, "E+1");
  match.bind("gate", 'E', static_cast<int64_t>(args.gate.size()));
  match.bind("up", 'E', static_cast<int64_t>(args.up.size()));
  match("gate_sums", args.gate_sums, kF32, "S F");
  match("up_sums", args.up_sums, kF32, "S F");
  match("out", args.out, kFloat, "S F");
  if (!args.gate.empty())
    match_weight(match, args.gate[0], 'F', 'D');
  for (const auto& weights : {args.gate, args.up}) {
    for (const Weight& w : weights)
      match.require(is_alike(w, args.gate[0]), "the weights are not all of one shape and format");
  }
  return args.out.numel() > 0;
}

bool gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                const TensorView& out) {
  ShapeMatcher match("gated_norm");
  match("gate", gate, kFloat, "T D");
  match("x", x, kFloat, "T D");
  match("weight", weight, kF32, "D");
  match("out", out, kFloat, "T D");
  return out.numel() > 0;
}

bool add_residual(const ResidualArgs& args) {
  ShapeMatcher match("add_residual");
  match("residual", args.residual, kF32, "T D");
  if (args.branch.is_mixture()) {
    match("branch.rows", args.branch.rows, kFloat, "S D");
    match("branch.positions", args.branch.positions, kI32, "T A");
    match("branch.weights", args.branch.weights, kF32, "T A");
    match("mixed", args.mixed, kFloat, "T D");
  } else if (!args.branch.rows.empty()) {
    match("branch.rows", args.branch.rows, kFloat, "T D");
  } else {
    match.require(args.sum.empty() && args.alpha == 1, "a sum or a factor without a branch");
  }
  if (args.only.empty()) {
    match.bind("residual", 'R', args.residual.dim(0));
  } else {
    match("only", args.only, kI32, "R");
  }
  match.require(args.weight.empty() == args.normed.empty(), "weight and normed go together");
  match.require(!args.normed.empty() || args.input.empty(), "input without a norm");
  match.require(!args.normed.empty() || !args.sum.empty(), "neither sum nor normed is wanted");
  if (!args.sum.empty())
    match("sum", args.sum, kF32, "R D");
  if (!args.weight.empty()) {
    match("weight", args.weight, kF32, "D");
    match("normed", args.normed, kF32, "R D");
  }
  if (!args.input.empty())
    match("input", args.input, kFloat, "R D");
  return match['R'] * match['D'] > 0;
}

bool silu(const TensorView& x) {
  ShapeMatcher("silu").require(is_plain_float(x), "x is not a contiguous F32 or BF16 tensor");
  return x.numel() > 0;
}

bool silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) {
  ShapeMatcher match("silu_mul");
  match("gate", gate, kF32, "S F");
  match("up", up, kF32, "S F");
  match("out", out, kFloat, "S F");
  return out.numel() > 0;
}

bool sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) {
  const ShapeMatcher match("sigmoid_mul");
  match.require(is_plain_float(gate), "gate is not a contiguous F32 or BF16 tensor");
  match.require(is_plain_float(x) && x.dtype == DType::kF32, "x is not a contiguous F32 tensor");
  match.require(is_plain_float(out), "out is not a contiguous F32 or BF16 tensor");
  match.require(same_shape(gate, x) && same_shape(x, out), "gate, x and out differ in shape");
  return out.numel() > 0;
}

bool rope(const RopeArgs& args) {
  ShapeMatcher match("rope");
  match("x", args.x, kFloat, "T H K", Layout::kUnitRows);
  match("positions", args.positions, kI32, "T");
  match.require(args.rotary_dim >= 0 && args.rotary_dim % 2 == 0 && args.rotary_dim <= match['K'],
                "rotary_dim is odd or not in [0, K]");
  match.require(args.theta > 0, "theta is not positive");
  return args.x.numel() > 0 && args.rotary_dim > 0;
}

bool store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows) {
  ShapeMatcher match("store_kv");
  match("k", k, kFloat, "T G K", Layout::kUnitRows);
  match("v", v, kFloat, "T G K", Layout::kUnitRows);
  match_ragged(match, rows);
  match_pages(match, kv);
  return k.numel() > 0;
}

bool softmax_attention(const SoftmaxArgs& args) {
  ShapeMatcher match("softmax_attention");
  match("q", args.q, kFloat, "T H K", Layout::kUnitRows);
  match_ragged(match, args.rows);
  match_pages(match, args.kv);
  match("out", args.out, kFloat, "T H K");
  match.require(match['G'] > 0 && match['H'] % match['G'] == 0,
                "the query heads do not divide into the key/value heads");
  return args.out.numel() > 0;
}

bool lightning_attention(const LightningArgs& args) {
  ShapeMatcher match("lightning_attention");
  match("q", args.q, kFloat, "T H K", Layout::kUnitRows);
  match("k", args.k, kFloat, "T H K", Layout::kUnitRows);
  match("v", args.v, kFloat, "T H K", Layout::kUnitRows);
  match("slopes", args.slopes, kF32, "H");
  match_ragged(match, args.rows);
  match("slots", args.slots, kI32, "N");
  match("states", args.states, kF32, "* H K K");
  match("tail_k", args.tail_k, kFloat, "* H 64 K");
  match("tail_v", args.tail_v, kFloat, "* H 64 K");
  match("out", args.out, kFloat, "T H K");
  match.require(args.tail_k.dtype == args.tail_v.dtype, "tail_k and tail_v differ in type");
  return args.out.numel() > 0;
}

bool route_topk(const TensorView& logits, const TensorView& ids) {
  ShapeMatcher match("route_topk");
  match("logits", logits, kF32, "T E");
  match("ids", ids, kI32, "T A");
  match.require(match['A'] <= match['E'], "more experts per token than experts");
  return ids.numel() > 0;
}

bool route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights) {
  ShapeMatcher match("route_weights");
  match("logits", logits, kF32, "T E");
  match("ids", ids, kI32, "T A");
  match("weights", weights, kF32, "T A");
  return weights.numel() > 0;
}

bool group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) {
  ShapeMatcher match("group_by_expert");
  match("ids", ids, kI32, "T A");
  match.bind("num_experts", 'E', num_experts);
  match("routes.order", routes.order, kI32, "S");
  match("routes.positions", routes.positions, kI32, "T A");
  match("routes.offsets", routes.offsets, kI32, "E+1");
  match.bind("tokens times choices", 'S', match['T'] * match['A']);
  return true;
}

bool gather_rows(const TensorView& x, const TensorView& index, const TensorView& out) {
  ShapeMatcher match("gather_rows");
  match("x", x, kFloat, "* D");
  match("index", index, kI32, "S");
  match("out", out, kFloat, "S D");
  match.require(x.dtype == out.dtype, "x and out differ in type");
  return out.numel() > 0;
}

bool combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                  const TensorView& out) {
  ShapeMatcher match("combine_rows");
  match("x", x, kF32, "S D");
  match("positions", positions, kI32, "T A");
  match("weights", weights, kF32, "T A");
  match("out", out, kF32, "T D");
  match.require(match['A'] > 0, "no choices to combine");
  match.bind("tokens times choices", 'S', match['T'] * match['A']);
  return out.numel() > 0;
}

}  // namespace mm::contracts
