#include <algorithm>
#include <cmath>

#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {

void route_topk(const TensorView& logits, const TensorView& ids) {
  const int64_t experts = logits.dim(1);
  const int64_t choices = ids.dim(1);
  for (int64_t t = 0; t < logits.dim(0); ++t) {
    std::vector<std::pair<double, int32_t>> order;
    for (int64_t e = 0; e < experts; ++e) {
      const double logit = load(logits, t * experts + e);
      order.emplace_back(std::isnan(logit) ? -HUGE_VAL : logit, static_cast<int32_t>(e));
    }
    std::stable_sort(order.begin(), order.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    for (int64_t a = 0; a < choices; ++a)
      ids.ptr<int32_t>()[t * choices + a] = order[static_cast<size_t>(a)].second;
  }
}

void route_weights(const TensorView& logits, const TensorView& ids, const TensorView& weights) {
  const int64_t choices = ids.dim(1);
  for (int64_t t = 0; t < ids.dim(0); ++t) {
    std::vector<double> chosen;
    for (int64_t a = 0; a < choices; ++a) {
      const int64_t id = ids.ptr<int32_t>()[t * choices + a];
      MM_CHECK(0 <= id && id < logits.dim(1), "expert {} of {}", id, logits.dim(1));
      chosen.push_back(load(logits, t * logits.dim(1) + id));
    }
    const double largest = *std::max_element(chosen.begin(), chosen.end());
    double total = 0;
    for (double& value : chosen) total += value = std::exp(value - largest);
    for (int64_t a = 0; a < choices; ++a)
      store(weights, t * choices + a, chosen[static_cast<size_t>(a)] / total);
  }
}

void group_by_expert(const TensorView& ids, int num_experts, const Routes& routes) {
  const int32_t* id = ids.ptr<int32_t>();
  const int64_t choices = ids.dim(1);
  int32_t next = 0;
  for (int32_t e = 0; e < num_experts; ++e) {
    routes.offsets.ptr<int32_t>()[e] = next;
    for (int64_t i = 0; i < ids.numel(); ++i) {
      if (id[i] != e)
        continue;
      routes.order.ptr<int32_t>()[next] = static_cast<int32_t>(i / choices);
      routes.positions.ptr<int32_t>()[i] = next++;
    }
  }
  routes.offsets.ptr<int32_t>()[num_experts] = next;
  MM_CHECK(next == ids.numel(), "{} of {} choices name an expert below {}", next, ids.numel(),
           num_experts);
}

void gather_rows(const TensorView& x, const TensorView& index, const TensorView& out) {
  const int64_t size = x.dim(1);
  for (int64_t r = 0; r < index.dim(0); ++r) {
    const int64_t row = index.ptr<int32_t>()[r];
    MM_CHECK(0 <= row && row < x.dim(0), "row {} of {}", row, x.dim(0));
    for (int64_t d = 0; d < size; ++d) store(out, r * size + d, load(x, row * size + d));
  }
}

void combine_rows(const TensorView& x, const TensorView& positions, const TensorView& weights,
                  const TensorView& out) {
  const int64_t size = x.dim(1);
  const int64_t choices = positions.dim(1);
  for (int64_t t = 0; t < out.dim(0); ++t) {
    for (int64_t d = 0; d < size; ++d) {
      double sum = 0;
      for (int64_t a = 0; a < choices; ++a) {
        const int64_t row = positions.ptr<int32_t>()[t * choices + a];
        MM_CHECK(0 <= row && row < x.dim(0), "row {} of {}", row, x.dim(0));
        sum += load(weights, t * choices + a) * load(x, row * size + d);
      }
      store(out, t * size + d, sum);
    }
  }
}

}  // namespace mm::reference
