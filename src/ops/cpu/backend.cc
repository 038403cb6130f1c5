#include "ops/cpu/backend.h"

#include <fmt/format.h>
#include <hwy/targets.h>

#include <fstream>

#include "ops/cpu/linear.h"
#include "ops/cpu/ops.h"

namespace mm {
namespace {

class CpuBackend final : public Backend {
 public:
  explicit CpuBackend(ThreadPool& pool) : pool_(pool), scratch_(pool.size()) {
    // Chosen here once, so that no op pays for it in its first call.
    hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  }

  std::string name() const override {
    return fmt::format("cpu ({}, {} thread{})", cpu::to_string(linear_scratch_.isa()), pool_.size(),
                       pool_.size() == 1 ? "" : "s");
  }

 private:
  void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) override {
    cpu::embed(pool_, ids, table, out);
  }
  void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                   const TensorView& out) override {
    cpu::rms_norm(pool_, x, weight, eps, out);
  }
  void do_cast(const TensorView& x, const TensorView& out) override { cpu::cast(pool_, x, out); }
  void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                     const TensorView& out) override {
    cpu::add_scaled(pool_, a, b, {alpha, beta}, out);
  }
  void do_linear(const TensorView& x, const Weight& w, const TensorView& out) override {
    cpu::linear(pool_, linear_scratch_, x, w, out);
  }
  void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                         std::span<const Weight> weights, const TensorView& out) override {
    cpu::grouped_linear(pool_, linear_scratch_, x, offsets, weights, out);
  }
  void do_project(const TensorView& x, std::span<const Projection> projections) override {
    cpu::project(pool_, linear_scratch_, x, projections);
  }
  void do_grouped_gated(const GatedArgs& args) override {
    cpu::grouped_gated(pool_, linear_scratch_, args);
  }
  void do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                     float eps, const TensorView& out) override {
    cpu::gated_norm(pool_, {gate, x, weight, eps}, out);
  }
  void do_silu(const TensorView& x) override { cpu::silu(pool_, x); }
  void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) override {
    cpu::silu_mul(pool_, gate, up, out);
  }
  void do_sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) override {
    cpu::sigmoid_mul(pool_, gate, x, out);
  }
  void do_rope(const RopeArgs& args) override { cpu::rope(pool_, scratch_, args); }
  void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                   const Ragged& rows) override {
    cpu::store_kv(k, v, kv, rows);
  }
  void do_softmax_attention(const SoftmaxArgs& args) override {
    cpu::softmax_attention(pool_, scratch_, linear_scratch_.isa(), args);
  }
  void do_lightning_attention(const LightningArgs& args) override {
    cpu::lightning_attention(pool_, scratch_, args);
  }
  void do_route_topk(const TensorView& logits, const TensorView& ids) override {
    cpu::route_topk(pool_, logits, ids);
  }
  void do_route_weights(const TensorView& logits, const TensorView& ids,
                        const TensorView& weights) override {
    cpu::route_weights(logits, ids, weights);
  }
  void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) override {
    cpu::group_by_expert(ids, num_experts, routes);
  }
  void do_gather_rows(const TensorView& x, const TensorView& index,
                      const TensorView& out) override {
    cpu::gather_rows(pool_, x, index, out);
  }
  void do_combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                       const TensorView& out) override {
    cpu::combine_rows(pool_, x, positions, weights, out);
  }

  ThreadPool& pool_;
  cpu::Scratch scratch_;
  cpu::LinearScratch linear_scratch_;
};

}  // namespace

std::unique_ptr<Backend> make_cpu_backend(ThreadPool& pool) {
  return std::make_unique<CpuBackend>(pool);
}

std::string cpu_features() {
  return cpu::cpu_features();
}

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const size_t colon = line.find(": ");
    if (line.rfind("model name", 0) == 0 && colon != std::string::npos)
      return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace mm
