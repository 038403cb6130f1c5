#include "ops/reference/backend.h"

#include "ops/reference/ops.h"

namespace mm {
namespace {

class ReferenceBackend final : public Backend {
 public:
  std::string name() const override { return "reference"; }

 private:
  void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) override {
    reference::embed(ids, table, out);
  }
  void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                   const TensorView& out) override {
    reference::rms_norm(x, weight, eps, out);
  }
  void do_cast(const TensorView& x, const TensorView& out) override { reference::cast(x, out); }
  void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                     const TensorView& out) override {
    reference::add_scaled(a, alpha, b, beta, out);
  }
  void do_linear(const TensorView& x, const Weight& w, const TensorView& out) override {
    reference::linear(x, w, out);
  }
  void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                         std::span<const Weight> weights, const TensorView& out) override {
    reference::grouped_linear(x, offsets, weights, out);
  }
  void do_silu(const TensorView& x) override { reference::silu(x); }
  void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) override {
    reference::silu_mul(gate, up, out);
  }
  void do_sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) override {
    reference::sigmoid_mul(gate, x, out);
  }
  void do_rope(const RopeArgs& args) override { reference::rope(args); }
  void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                   const Ragged& rows) override {
    reference::store_kv(k, v, kv, rows);
  }
  void do_softmax_attention(const SoftmaxArgs& args) override {
    reference::softmax_attention(args);
  }
  void do_lightning_attention(const LightningArgs& args) override {
    reference::lightning_attention(args);
  }
  void do_route_topk(const TensorView& logits, const TensorView& ids) override {
    reference::route_topk(logits, ids);
  }
  void do_route_weights(const TensorView& logits, const TensorView& ids,
                        const TensorView& weights) override {
    reference::route_weights(logits, ids, weights);
  }
  void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) override {
    reference::group_by_expert(ids, num_experts, routes);
  }
  void do_gather_rows(const TensorView& x, const TensorView& index,
                      const TensorView& out) override {
    reference::gather_rows(x, index, out);
  }
  void do_combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                       const TensorView& out) override {
    reference::combine_rows(x, positions, weights, out);
  }
};

}  // namespace

std::unique_ptr<Backend> make_reference_backend() {
  return std::make_unique<ReferenceBackend>();
}

}  // namespace mm
