/// A backend for tests: tensors live on the host, every verb runs on a device. Copies the memory
/// that a call touches to the device, runs the verb there and copies everything back, so the shared
/// op cases run on CUDA as they are.
#pragma once

#include <algorithm>
#include <functional>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "ops/backend.h"
#include "tensor/device.h"

namespace mm::testing {

/// Memory on the device.
struct DeviceRange {
  void* data = nullptr;
  int64_t bytes = 0;
};

class MirrorBackend final : public Backend {
 public:
  /// Runs `verb`, for which `memory` is in place, in a way of its own; what it leaves there counts.
  using RunVerb =
      std::function<void(std::span<const DeviceRange> memory, const std::function<void()>& verb)>;

  MirrorBackend(std::unique_ptr<Backend> inner, Device device, RunVerb run_verb = {})
      : inner_(std::move(inner)), device_(device), run_verb_(std::move(run_verb)) {}

  std::string name() const override { return "mirror of " + inner_->name(); }

 private:
  /// Host memory of a call, in merged ranges, and where each lies on the device.
  class Call {
   public:
    Call(Device device, std::initializer_list<TensorView> views) : device_(device) {
      for (const TensorView& view : views) add(view);
    }
    ~Call() {
      for (const Range& range : ranges_) device_free(device_, range.copy);
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

    void add(const TensorView& view) {
      if (view.data == nullptr || view.numel() == 0)
        return;
      int64_t last = 0;
      for (int axis = 0; axis < view.rank; ++axis) last += (view.dim(axis) - 1) * view.stride(axis);
      char* begin = static_cast<char*>(view.data);
      ranges_.push_back({begin, begin + (last + 1) * size_of(view.dtype), nullptr});
    }

    void upload() {
      std::sort(ranges_.begin(), ranges_.end(),
                [](const Range& a, const Range& b) { return a.begin < b.begin; });
      std::vector<Range> merged;
      for (const Range& range : ranges_) {
        if (!merged.empty() && range.begin < merged.back().end) {
          merged.back().end = std::max(merged.back().end, range.end);
        } else {
          merged.push_back(range);
        }
      }
      ranges_ = std::move(merged);
      for (Range& range : ranges_) {
        range.copy = static_cast<char*>(device_allocate(device_, range.end - range.begin));
        copy_bytes(range.copy, device_, range.begin, Device{}, range.end - range.begin);
      }
    }

    TensorView operator()(TensorView view) const {
      for (const Range& range : ranges_) {
        char* data = static_cast<char*>(view.data);
        if (range.begin <= data && data < range.end) {
          view.data = range.copy + (data - range.begin);
          view.device = device_;
          return view;
        }
      }
      return view;  // empty
    }
    Weight operator()(Weight weight) const {
      weight.data = (*this)(weight.data);
      weight.scales = (*this)(weight.scales);
      return weight;
    }
    Ragged operator()(const Ragged& rows) const {
      return {(*this)(rows.offsets), (*this)(rows.starts)};
    }

    PagedKv operator()(const PagedKv& kv) const {
      return {(*this)(kv.pages), (*this)(kv.block_table), (*this)(kv.scales)};
    }

    std::vector<DeviceRange> memory() const {
      std::vector<DeviceRange> memory;
      for (const Range& range : ranges_) memory.push_back({range.copy, range.end - range.begin});
      return memory;
    }

    void download() const {
      for (const Range& range : ranges_)
        copy_bytes(range.begin, Device{}, range.copy, device_, range.end - range.begin);
    }

   private:
    struct Range {
      char* begin;
      char* end;
      char* copy;
    };
    Device device_;
    std::vector<Range> ranges_;
  };

  template <typename Function>
  void run(std::initializer_list<TensorView> views, Function&& function) {
    Call call(device_, views);
    call.upload();
    finish(call, [&] { function(std::as_const(call)); });
  }

  /// Runs the verb of a call whose memory is in place, and takes back what it left.
  void finish(const Call& call, const std::function<void()>& verb) const {
    if (run_verb_) {
      run_verb_(call.memory(), verb);
    } else {
      verb();
    }
    call.download();
  }

  void do_embed(const TensorView& ids, const Weight& table, const TensorView& out) override {
    run({ids, table.data, table.scales, out},
        [&](const Call& on) { inner_->embed(on(ids), on(table), on(out)); });
  }
  void do_rms_norm(const TensorView& x, const TensorView& weight, float eps,
                   const TensorView& out) override {
    run({x, weight, out},
        [&](const Call& on) { inner_->rms_norm(on(x), on(weight), eps, on(out)); });
  }
  void do_cast(const TensorView& x, const TensorView& out) override {
    run({x, out}, [&](const Call& on) { inner_->cast(on(x), on(out)); });
  }
  void do_add_scaled(const TensorView& a, float alpha, const TensorView& b, float beta,
                     const TensorView& out) override {
    run({a, b, out},
        [&](const Call& on) { inner_->add_scaled(on(a), alpha, on(b), beta, on(out)); });
  }
  void do_linear(const TensorView& x, const Weight& w, const TensorView& out) override {
    run({x, w.data, w.scales, out}, [&](const Call& on) { inner_->linear(on(x), on(w), on(out)); });
  }
  void do_grouped_linear(const TensorView& x, const TensorView& offsets,
                         std::span<const Weight> weights, const TensorView& out) override {
    Call call(device_, {x, offsets, out});
    for (const Weight& weight : weights) {
      call.add(weight.data);
      call.add(weight.scales);
    }
    call.upload();
    std::vector<Weight> there;
    for (const Weight& weight : weights) there.push_back(call(weight));
    finish(call, [&] { inner_->grouped_linear(call(x), call(offsets), there, call(out)); });
  }
  void do_project(const TensorView& x, std::span<const Projection> projections) override {
    Call call(device_, {x});
    for (const Projection& projection : projections) {
      call.add(projection.w.data);
      call.add(projection.w.scales);
      call.add(projection.out);
    }
    call.upload();
    std::vector<Weight> weights;
    for (const Projection& projection : projections) weights.push_back(call(projection.w));
    std::vector<Projection> there;
    for (size_t i = 0; i < projections.size(); ++i)
      there.push_back({weights[i], call(projections[i].out), projections[i].silu});
    finish(call, [&] { inner_->project(call(x), there); });
  }
  void do_grouped_gated(const GatedArgs& args) override {
    Call call(device_, {args.x, args.offsets, args.gate_sums, args.up_sums, args.out});
    std::vector<Weight> gate;
    std::vector<Weight> up;
    for (const auto& weights : {args.gate, args.up}) {
      for (const Weight& weight : weights) {
        call.add(weight.data);
        call.add(weight.scales);
      }
    }
    call.upload();
    for (const Weight& weight : args.gate) gate.push_back(call(weight));
    for (const Weight& weight : args.up) up.push_back(call(weight));
    finish(call, [&] {
      inner_->grouped_gated({call(args.x), call(args.offsets), gate, up, call(args.gate_sums),
                             call(args.up_sums), call(args.out)});
    });
  }
  void do_gated_norm(const TensorView& gate, const TensorView& x, const TensorView& weight,
                     float eps, const TensorView& out) override {
    run({gate, x, weight, out},
        [&](const Call& on) { inner_->gated_norm(on(gate), on(x), on(weight), eps, on(out)); });
  }
  void do_add_residual(const ResidualArgs& a) override {
    const Branch& b = a.branch;
    run({a.residual, b.rows, b.positions, b.weights, a.mixed, a.only, a.sum, a.weight, a.normed,
         a.input},
        [&](const Call& on) {
          inner_->add_residual({on(a.residual),
                                {on(b.rows), on(b.positions), on(b.weights)},
                                a.alpha,
                                a.beta,
                                on(a.mixed),
                                on(a.only),
                                on(a.sum),
                                on(a.weight),
                                a.eps,
                                on(a.normed),
                                on(a.input)});
        });
  }
  void do_silu(const TensorView& x) override {
    run({x}, [&](const Call& on) { inner_->silu(on(x)); });
  }
  void do_silu_mul(const TensorView& gate, const TensorView& up, const TensorView& out) override {
    run({gate, up, out}, [&](const Call& on) { inner_->silu_mul(on(gate), on(up), on(out)); });
  }
  void do_sigmoid_mul(const TensorView& gate, const TensorView& x, const TensorView& out) override {
    run({gate, x, out}, [&](const Call& on) { inner_->sigmoid_mul(on(gate), on(x), on(out)); });
  }
  void do_rope(const RopeArgs& args) override {
    run({args.x, args.positions}, [&](const Call& on) {
      inner_->rope({on(args.x), on(args.positions), args.rotary_dim, args.theta});
    });
  }
  void do_store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv,
                   const Ragged& rows) override {
    run({k, v, kv.pages, kv.block_table, kv.scales, rows.offsets, rows.starts},
        [&](const Call& on) { inner_->store_kv(on(k), on(v), on(kv), on(rows)); });
  }
  void do_softmax_attention(const SoftmaxArgs& args) override {
    run({args.q, args.kv.pages, args.kv.block_table, args.kv.scales, args.rows.offsets,
         args.rows.starts, args.out},
        [&](const Call& on) {
          inner_->softmax_attention(
              {on(args.q), on(args.kv), on(args.rows), args.scale, on(args.out)});
        });
  }
  void do_lightning_attention(const LightningArgs& a) override {
    run({a.q, a.k, a.v, a.slopes, a.rows.offsets, a.rows.starts, a.slots, a.states, a.tail_k,
         a.tail_v, a.out},
        [&](const Call& on) {
          inner_->lightning_attention({on(a.q), on(a.k), on(a.v), on(a.slopes), on(a.rows),
                                       on(a.slots), on(a.states), on(a.tail_k), on(a.tail_v),
                                       on(a.out)});
        });
  }
  void do_route_topk(const TensorView& logits, const TensorView& ids) override {
    run({logits, ids}, [&](const Call& on) { inner_->route_topk(on(logits), on(ids)); });
  }
  void do_route_weights(const TensorView& logits, const TensorView& ids,
                        const TensorView& weights) override {
    run({logits, ids, weights},
        [&](const Call& on) { inner_->route_weights(on(logits), on(ids), on(weights)); });
  }
  void do_group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) override {
    run({ids, routes.order, routes.positions, routes.offsets}, [&](const Call& on) {
      inner_->group_by_expert(on(ids), num_experts,
                              {on(routes.order), on(routes.positions), on(routes.offsets)});
    });
  }
  void do_gather_rows(const TensorView& x, const TensorView& index,
                      const TensorView& out) override {
    run({x, index, out}, [&](const Call& on) { inner_->gather_rows(on(x), on(index), on(out)); });
  }
  void do_combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                       const TensorView& out) override {
    run({x, positions, weights, out},
        [&](const Call& on) { inner_->combine_rows(on(x), on(positions), on(weights), on(out)); });
  }

  std::unique_ptr<Backend> inner_;
  Device device_;
  RunVerb run_verb_;
};

}  // namespace mm::testing
