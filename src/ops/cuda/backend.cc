#include "ops/cuda/backend.h"

#include <fmt/format.h>

#include <optional>

#include "base/check.h"
#include "base/error.h"
#include "ops/cuda/add_residual.h"
#include "ops/cuda/add_scaled.h"
#include "ops/cuda/check.h"
#include "ops/cuda/draw_upload.h"
#include "ops/cuda/elementwise.h"
#include "ops/cuda/embed.h"
#include "ops/cuda/from_views.h"
#include "ops/cuda/lightning_attention.h"
#include "ops/cuda/lightning_decode.h"
#include "ops/cuda/lightning_prefill_sm90.h"
#include "ops/cuda/products.h"
#include "ops/cuda/queue.h"
#include "ops/cuda/recorder.h"
#include "ops/cuda/rms_norm.h"
#include "ops/cuda/rope.h"
#include "ops/cuda/routing.h"
#include "ops/cuda/softmax_attention.h"
#include "ops/cuda/softmax_decode.h"
#include "ops/cuda/softmax_prefill_sm90.h"
#include "ops/cuda/store_kv.h"
#include "ops/cuda/token_draw.h"
#include "ops/cuda/workspace.h"
#include "ops/repeater.h"
#include "ops/step_kind.h"
#include "ops/token_draw.h"

namespace mm {
namespace {

using namespace cuda;  // NOLINT(google-build-using-namespace): this file is the backend's face

/// Up to so many rows a sequence, splitting the keys beats sharing them among rows.
constexpr int64_t kDecodeRows = 4;

/// Checks that the device exists and can run what was compiled.
cudaDeviceProp usable_device(int index) {
  const int count = cuda_device_count();
  if (count == 0)
    raise(ErrorKind::kUnsupported,
          "no CUDA device was found: is a driver installed? Use --device cpu");
  if (index < 0 || index >= count)
    raise(ErrorKind::kUnsupported, "there is no cuda:{}, expected 0 to {}", index, count - 1);
  cudaDeviceProp properties{};
  MM_CUDA(cudaGetDeviceProperties(&properties, index));
  if (properties.major != 9)
    raise(ErrorKind::kUnsupported,
          "cuda:{} ({}) has compute capability {}.{}, expected 9.0 (Hopper)", index,
          properties.name, properties.major, properties.minor);
  return properties;
}

class CudaBackend final : public Backend, public Repeater, public StepAware, public TokenDrawer {
 public:
  explicit CudaBackend(const CudaOptions& options)
      : options_(options),
        properties_(usable_device(options.device)),
        workspace_(cuda_device(options.device)),
        products_({.device = cuda_device(options.device),
                   .multiprocessors = properties_.multiProcessorCount,
                   .vendor_blas = options.vendor_blas && !options.deterministic,
                   .plain = options.plain},
                  workspace_),
        queue_(static_cast<cudaStream_t>(options.stream), options.overlap),
        draws_(cuda_device(options.device)) {
    MM_CUDA(cudaSetDevice(options.device));
    // Ordered with the default stream, so that copy_bytes sees finished work.
    if (queue_.stream == nullptr)
      MM_CUDA(cudaStreamCreate(&queue_.stream));
  }
  ~CudaBackend() override {
    if (options_.stream == nullptr)
      cudaStreamDestroy(queue_.stream);
  }

  std::string name() const override {
    return fmt::format("cuda:{} ({}{})", options_.device, properties_.name,
                       products_.has_blas() ? ", cuBLASLt" : "");
  }

  void repeat(uint64_t key, FunctionRef<void()> work) override {
    recorder_.run(key, workspace_.generation(), queue_, work);
  }

  void begin_step(StepKind kind) override {
    if (!options_.deterministic)
      return;
    step_ = kind;
    products_.choose_by(kind);
  }

  void draw_tokens(const TensorView& logits, std::span<const TokenDraw> draws,
                   const TensorView& ids) override {
    const auto rows = static_cast<int64_t>(draws.size());
    MM_CHECK(logits.dim(0) == rows && ids.numel() == rows && logits.is_contiguous(),
             "{} draws from {} rows for {} ids", rows, logits.dim(0), ids.numel());
    if (rows == 0)
      return;
    const int64_t vocab = logits.dim(1);
    const char* upload = draws_.send(draws, vocab, queue_.stream);
    launch_token_draw({logits.ptr<float>(), rows, vocab, upload, ids.ptr<int32_t>()},
                      queue_.stream);
    draws_.read_by(queue_.stream);
  }

 private:
  /// Whether attention takes a decoding kernel: what was said of the step, else whether `prefers`.
  bool decodes(bool prefers) const { return step_ ? *step_ == StepKind::kDecode : prefers; }

  void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) override {
    launch_embed({ids.ptr<int32_t>(), ref_of(table), shape_of(table), out.ptr<float>(), ids.dim(0)},
                 queue_);
  }

  void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                   const TensorView& out) override {
    launch_rms_norm(
        {x.ptr<float>(), weight.ptr<float>(), out.data, out.dtype, x.dim(0), x.dim(1), eps},
        queue_);
  }

  void elementwise(ElementwiseOp op, const TensorView& a, const TensorView& b,
                   const TensorView& out) {
    const float* second = b.empty() ? nullptr : b.ptr<float>();
    launch_elementwise(op, {a.data, second, out.data, a.dtype, out.dtype, a.numel()}, queue_);
  }
  void do_cast(const TensorView& x, const TensorView& out) override {
    elementwise(ElementwiseOp::kCast, x, {}, out);
  }
  void do_silu(const TensorView& x) override { elementwise(ElementwiseOp::kSilu, x, {}, x); }
  void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) override {
    elementwise(ElementwiseOp::kSiluMul, gate, up, out);
  }
  void do_sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) override {
    elementwise(ElementwiseOp::kSigmoidMul, gate, x, out);
  }

  void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                     const TensorView& out) override {
    launch_add_scaled({a.ptr<float>(), b.ptr<float>(), out.ptr<float>(), a.numel(), alpha, beta},
                      config_add_scaled(a.numel(), properties_.multiProcessorCount), queue_);
  }

  void do_linear(const TensorView& x, const Weight& w, const TensorView& out) override {
    products_.linear(x, {w, out}, queue_);
  }
  void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                         std::span<const Weight> weights, const TensorView& out) override {
    products_.grouped_linear(x, offsets, weights, out, queue_);
  }

  void do_project(const TensorView& x, std::span<const Projection> projections) override {
    const Products::SharedRows shared(products_);
    for (const Projection& projection : projections) products_.linear(x, projection, queue_);
  }
  void do_grouped_gated(const GatedArgs& args) override {
    if (products_.grouped_gated(args, queue_))
      return;
    {
      const Products::SharedRows shared(products_);
      do_grouped_linear(args.x, args.offsets, args.gate, args.gate_sums);
      do_grouped_linear(args.x, args.offsets, args.up, args.up_sums);
    }
    do_silu_mul(args.gate_sums, args.up_sums, args.out);
  }

  void do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                     float eps, const TensorView& out) override {
    launch_gated_norm({{x.data, weight.ptr<float>(), out.data, out.dtype, x.dim(0), x.dim(1), eps},
                       x.dtype,
                       gate.data,
                       gate.dtype},
                      queue_);
  }

  void do_add_residual(const ResidualArgs& args) override {
    const auto floats = [](const TensorView& view) {
      return view.empty() ? nullptr : view.ptr<float>();
    };
    const Branch& branch = args.branch;
    MM_CHECK(args.residual.dim(1) <= kMostResidualWidth, "width {}, at most {}",
             args.residual.dim(1), kMostResidualWidth);
    launch_add_residual(
        {.residual = args.residual.ptr<float>(),
         .branch = branch.rows.data,
         .branch_type = branch.rows.dtype,
         .branch_rows = branch.rows.empty() ? 0 : branch.rows.dim(0),
         .positions = branch.is_mixture() ? branch.positions.ptr<int32_t>() : nullptr,
         .weights = floats(branch.weights),
         .choices = branch.is_mixture() ? static_cast<int>(branch.positions.dim(1)) : 1,
         .alpha = args.alpha,
         .beta = args.beta,
         .only = args.only.empty() ? nullptr : args.only.ptr<int32_t>(),
         .tokens = args.residual.dim(0),
         .sum = floats(args.sum),
         .weight = floats(args.weight),
         .eps = args.eps,
         .normed = floats(args.normed),
         .input = args.input.data,
         .input_type = args.input.empty() ? DType::kF32 : args.input.dtype,
         .rows = args.only.empty() ? args.residual.dim(0) : args.only.dim(0),
         .width = args.residual.dim(1)},
        queue_);
  }

  void do_rope(const RopeArgs& args) override {
    launch_rope({.x = args.x.data,
                 .x_type = args.x.dtype,
                 .row_stride = args.x.stride(0),
                 .head_stride = args.x.stride(1),
                 .positions = args.positions.ptr<int32_t>(),
                 .tokens = args.x.dim(0),
                 .heads = static_cast<int>(args.x.dim(1)),
                 .rotary = args.rotary_dim,
                 .theta = args.theta},
                queue_);
  }

  void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                   const Ragged& rows) override {
    MM_CHECK(k.dtype == v.dtype, "k and v differ in type");
    launch_store_kv({head_rows(k), head_rows(v), pages_of(kv), ragged_rows(rows, k.dim(0))},
                    queue_);
  }

  void do_softmax_attention(const SoftmaxArgs& args) override {
    MM_CHECK(args.q.dim(2) <= kMaxPlainHeadSize, "head size {}, at most {}", args.q.dim(2),
             kMaxPlainHeadSize);
    const SoftmaxParams params{.q = head_rows(args.q),
                               .kv = pages_of(args.kv),
                               .rows = ragged_rows(args.rows, args.q.dim(0)),
                               .heads = static_cast<int>(args.q.dim(1)),
                               .scale = args.scale,
                               .out = args.out.data,
                               .out_type = args.out.dtype};
    const bool decode = decodes(params.rows.total <= kDecodeRows * params.rows.sequences);
    // The type of the output is the compute type: f32 wants operands that are not rounded.
    const bool fast = !options_.plain && params.out_type == DType::kBf16;
    if (fast && decode && fits_softmax_decode(params)) {
      const auto config = options_.deterministic
                              ? config_softmax_decode_alike(params)
                              : config_softmax_decode(params, properties_.multiProcessorCount);
      launch_softmax_decode(params, config, make_page_map(params.kv),
                            workspace_.reserve(config.workspace_bytes), queue_);
    } else if (fast && fits_softmax_prefill(params)) {
      launch_softmax_prefill(params, make_page_half_map(params.kv), queue_);
    } else {
      launch_softmax_plain(params, queue_);
    }
  }

  void do_lightning_attention(const LightningArgs& args) override {
    MM_CHECK(args.q.dtype == args.k.dtype && args.q.dtype == args.v.dtype,
             "q, k and v differ in type");
    LightningParams params{.q = head_rows(args.q),
                           .k = head_rows(args.k),
                           .v = head_rows(args.v),
                           .slopes = args.slopes.ptr<float>(),
                           .rows = ragged_rows(args.rows, args.q.dim(0)),
                           .slots = args.slots.ptr<int32_t>(),
                           .num_slots = args.states.dim(0),
                           .states = args.states.ptr<float>(),
                           .tail_k = args.tail_k.data,
                           .tail_v = args.tail_v.data,
                           .tail_type = args.tail_k.dtype,
                           .out = args.out.data,
                           .out_type = args.out.dtype,
                           .heads = static_cast<int>(args.q.dim(1)),
                           .size = static_cast<int>(args.q.dim(2))};
    const bool decode = decodes(params.rows.total == params.rows.sequences);
    if (!options_.plain && decode && fits_lightning_decode(params)) {
      launch_lightning_decode(params, queue_);
    } else if (!options_.plain && !decode && rounds_for_prefill(params)) {
      launch_lightning_plain(params, LightningRows::kToBoundary, queue_);
      launch_lightning_prefill(params, make_lightning_maps(params), queue_);
    } else {
      launch_lightning_plain(params, LightningRows::kAll, queue_);
    }
  }

  /// Whether the fast prefill can run, after rounding f32 rows to bf16 into the workspace.
  bool rounds_for_prefill(LightningParams& params) {
    if (params.size != 128 || params.tail_type != DType::kBf16)
      return false;
    if (params.q.dtype == DType::kF32) {
      const int64_t elements = params.rows.total * params.heads * params.size;
      auto* to = static_cast<uint16_t*>(workspace_.reserve(3 * elements * 2));
      for (HeadRows* rows : {&params.q, &params.k, &params.v}) {
        launch_round_rows({*rows, to, params.rows.total, params.heads, params.size}, queue_);
        *rows = {to, DType::kBf16, params.heads * int64_t{params.size}, params.size};
        to += elements;
      }
    }
    return fits_lightning_prefill(params);
  }

  static RouteParams route_params(const TensorView& logits, const TensorView& ids) {
    return {.logits = logits.ptr<float>(),
            .ids = ids.ptr<int32_t>(),
            .tokens = ids.dim(0),
            .experts = static_cast<int>(logits.dim(1)),
            .choices = static_cast<int>(ids.dim(1))};
  }
  void do_route_topk(const TensorView& logits, const TensorView& ids) override {
    launch_route_topk(route_params(logits, ids), queue_);
  }
  void do_route_weights(const TensorView& logits, const TensorView& ids,
                        const TensorView& weights) override {
    RouteParams params = route_params(logits, ids);
    params.weights = weights.ptr<float>();
    launch_route_weights(params, queue_);
  }
  void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) override {
    launch_group(
        {ids.ptr<int32_t>(), routes.order.ptr<int32_t>(), routes.positions.ptr<int32_t>(),
         routes.offsets.ptr<int32_t>(), ids.numel(), num_experts, static_cast<int>(ids.dim(1))},
        queue_);
  }

  void do_gather_rows(const TensorView& x, const TensorView& index,
                      const TensorView& out) override {
    launch_gather_rows({x.data, index.ptr<int32_t>(), out.data, index.dim(0), x.dim(0),
                        x.dim(1) * size_of(x.dtype)},
                       queue_);
  }
  void do_combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                       const TensorView& out) override {
    launch_combine_rows(
        {x.ptr<float>(), positions.ptr<int32_t>(), weights.ptr<float>(), out.ptr<float>(),
         out.dim(0), x.dim(0), x.dim(1), static_cast<int>(positions.dim(1))},
        queue_);
  }

  CudaOptions options_;
  cudaDeviceProp properties_;
  std::optional<StepKind> step_;  // what a deterministic backend was told
  Workspace workspace_;
  Products products_;
  Queue queue_;
  Recorder recorder_;
  DrawUpload draws_;
};

}  // namespace

void check_cuda_backend(int device) {
  usable_device(device);
}

bool has_cuda_backend(int device) {
  try {
    usable_device(device);
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::unique_ptr<Backend> make_cuda_backend(const CudaOptions& options) {
  return std::make_unique<CudaBackend>(options);
}

}  // namespace mm
