/// Chooses and queues the kernel of a product with stored weights.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ops/backend.h"
#include "ops/cuda/blas_lt.h"
#include "ops/cuda/grouped_gemm_sm90.h"
#include "ops/cuda/linear.h"
#include "ops/cuda/queue.h"
#include "ops/cuda/workspace.h"
#include "ops/step_kind.h"
#include "tensor/buffer.h"

namespace mm::cuda {

struct ProductOptions {
  Device device;
  int multiprocessors = 0;
  bool vendor_blas = true;  ///< dense bf16 products by cuBLASLt where it is installed
  bool plain = false;       ///< only the kernel that takes f32 operands
};

/// All products of one backend. Weights of a call are known by their addresses, which must keep
/// their meaning as long as the object lives.
class Products {
 public:
  /// Rounded activations lie in `workspace`, which must outlive the object.
  Products(const ProductOptions& options, Workspace& workspace);

  /// While one lives, calls with the same x have the same rows in it: they are rounded once.
  class SharedRows {
   public:
    explicit SharedRows(Products& products) : products_(products) {
      products_.rows_are_shared_ = true;
      products_.rounded_rows_ = nullptr;
    }
    ~SharedRows() { products_.rows_are_shared_ = false; }
    SharedRows(const SharedRows&) = delete;
    SharedRows& operator=(const SharedRows&) = delete;

   private:
    Products& products_;
  };

  bool has_blas() const { return blas_ != nullptr; }
  /// From now on kernels are chosen by `kind`, not by the number of rows: those for few rows, whose
  /// outputs do not depend on other rows, in every decoding step, the others in every prefill.
  void choose_by(StepKind kind) { step_ = kind; }
  void linear(const TensorView& x, const Projection& projection, Queue queue);
  void grouped_linear(const TensorView& x, const TensorView& offsets,
                      std::span<const Weight> weights, const TensorView& out, Queue queue);
  /// Backend::grouped_gated without its workspaces; false if this has no kernel of one pass.
  bool grouped_gated(const GatedArgs& args, Queue queue);

 private:
  /// Whether to take the kernel for few rows, which `prefers` says is the faster one.
  bool takes_few_rows(bool prefers) const { return step_ ? *step_ == StepKind::kDecode : prefers; }
  /// What the large product needs of a call's weights (and of `second` ones, of a gated product),
  /// on the device; made when they are first seen.
  const GemmWeights* gemm_weights(const ExpertWeights& weights, const ExpertWeights* second,
                                  const LinearParams& params);
  /// The call with its rows rounded to e4m3, or with those of the call before if they are shared.
  LinearParams round_fp8(const LinearParams& params, Queue queue);
  enum class Kernel { kSkinny, kBlas, kLarge, kNarrow, kDecoded, kFewOutputs, kPlain };
  /// The best that can make the product of rows as they are multiplied.
  Kernel choose(const LinearParams& params, const ExpertWeights& weights) const;
  void run(LinearParams params, const ExpertWeights& weights, Queue queue);
  /// With `up`, `weights` are those of the gate.
  void run_grouped_gemm(const LinearParams& params, const ExpertWeights& weights,
                        const ExpertWeights* up, Queue queue);

  /// The same for integer weights, decoded to bf16 a few experts at a time.
  void run_decoded(const LinearParams& params, const ExpertWeights& weights,
                   const ExpertWeights* up, Queue queue);

  ProductOptions options_;
  Workspace& workspace_;
  std::optional<StepKind> step_;
  bool rows_are_shared_ = false;
  const void* rounded_rows_ = nullptr;  ///< what the workspace holds rounded, while shared
  std::unique_ptr<BlasLt> blas_;
  Buffer counter_;                                   ///< of tiles taken, zero between launches
  std::map<std::vector<const void*>, Buffer> maps_;  ///< by the weights' addresses and sizes
};

}  // namespace mm::cuda
