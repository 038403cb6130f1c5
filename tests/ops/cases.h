/// The one list of op cases: op, shapes, types and bound. Tests run every case on every backend and
/// compare with the reference; a new op or backend is covered by adding it here.
///
/// Measure: |got - want| ≤ absolute · max|want| + relative · |want|, element by element. Where the
/// bounds come from: docs/numerics.md.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/ops/attention_fixtures.h"

namespace mm::testing {

struct Bound {
  double absolute = 0;
  double relative = 0;
};

struct OpCase {
  std::string name;
  Bound bound;
  /// Runs the op on fresh, reproducible inputs and returns everything it wrote.
  std::function<std::vector<Tensor>(Backend&)> run;
  /// Besides `bound`, for kernels whose inner products take bf16 operands: what attention rounds
  /// on its way (weights of keys, states as they are read).
  Bound rounding = {};
  /// Besides `bound`, for the CPU's bf16 dot products.
  Bound cpu_rounding = {};
};

constexpr double kUlp = 0x1p-24;  ///< half a unit in the last place of f32, relative

/// One more unit in the last place when an output is bf16: both results round, to neighbours.
inline Bound stored_as(DType dtype, Bound bound) {
  if (dtype == DType::kBf16)
    bound.relative += 0x1p-7;
  return bound;
}

/// Operands rounded to bf16 are off by at most 2⁻⁹ of themselves each; sums of many such errors
/// with random signs stay well below 2⁻⁷ of the largest output.
inline Bound rounding_of(DType dtype) {
  return dtype == DType::kBf16 ? Bound{0x1p-7, 0} : Bound{};
}

inline std::vector<Tensor> collect(Tensor tensor) {
  std::vector<Tensor> list;
  list.push_back(std::move(tensor));
  return list;
}

inline std::string shape_name(const std::string& op, std::initializer_list<int64_t> sizes,
                              std::initializer_list<DType> types) {
  std::string name = op;
  for (int64_t size : sizes) name += "_" + std::to_string(size);
  for (DType type : types) name += std::string("_") + to_string(type);
  return name;
}

inline void add_elementwise_cases(std::vector<OpCase>& cases) {
  const DType f32 = DType::kF32;
  for (int64_t width : {1, 7, 8, 15, 16, 17, 33, 256, 9001}) {
    for (DType out_type : {DType::kF32, DType::kBf16}) {
      // Division, exponential (two ulp) and the products around them.
      const Bound gate = stored_as(out_type, {0, 8 * kUlp});
      cases.push_back({shape_name("silu", {width}, {out_type}), gate, [=](Backend& backend) {
                         Random random(1);
                         Tensor x = random_tensor(random, out_type, {3, width}, 4);
                         backend.silu(x);
                         return collect(std::move(x));
                       }});
      cases.push_back({shape_name("silu_mul", {width}, {out_type}), gate, [=](Backend& backend) {
                         Random random(2);
                         const Tensor g = random_tensor(random, f32, {3, width}, 4);
                         const Tensor up = random_tensor(random, f32, {3, width});
                         Tensor out(out_type, {3, width});
                         backend.silu_mul(g, up, out);
                         return collect(std::move(out));
                       }});
      cases.push_back({shape_name("sigmoid_mul", {width}, {out_type}), gate, [=](Backend& backend) {
                         Random random(3);
                         const Tensor g = random_tensor(random, out_type, {3, width}, 4);
                         const Tensor x = random_tensor(random, f32, {3, width});
                         Tensor out(out_type, {3, width});
                         backend.sigmoid_mul(g, x, out);
                         return collect(std::move(out));
                       }});
      const Bound norm = stored_as(
          out_type, {0, (std::log2(width) + 8) * kUlp + static_cast<double>(width) / 32 * kUlp});
      cases.push_back({shape_name("rms_norm", {width}, {out_type}), norm, [=](Backend& backend) {
                         Random random(4);
                         const Tensor x = random_tensor(random, f32, {5, width}, 3);
                         const Tensor w = random_tensor(random, f32, {width});
                         Tensor out(out_type, {5, width});
                         backend.rms_norm(x, w, 1e-5f, out);
                         return collect(std::move(out));
                       }});
      for (DType in_type : {DType::kF32, DType::kBf16}) {
        cases.push_back(
            {shape_name("cast", {width}, {in_type, out_type}), {}, [=](Backend& backend) {
               Random random(5);
               const Tensor x = random_tensor(random, in_type, {2, width}, 100);
               Tensor out(out_type, {2, width});
               backend.cast(x, out);
               return collect(std::move(out));
             }});
      }
    }
    // Cancellation leaves an error relative to the terms.
    cases.push_back({shape_name("add_scaled", {width}, {}), {4 * kUlp, 0}, [=](Backend& backend) {
                       Random random(6);
                       const Tensor a = random_tensor(random, f32, {3, width});
                       Tensor b = random_tensor(random, f32, {3, width});
                       backend.add_scaled(a, 3.5566f, b, -0.75f, b);
                       return collect(std::move(b));
                     }});
  }
}

inline void add_rope_cases(std::vector<OpCase>& cases) {
  for (int64_t rotary : {0, 2, 6, 32, 64}) {
    for (DType type : {DType::kF32, DType::kBf16}) {
      cases.push_back({shape_name("rope", {rotary}, {type}), stored_as(type, {4 * kUlp, 0}),
                       [=](Backend& backend) {
                         Random random(7);
                         Tensor x = random_tensor(random, type, {37, 3, 64});
                         std::vector<int32_t> positions;
                         for (int i = 0; i < 37; ++i)
                           positions.push_back(static_cast<int32_t>(random.below(1 << (i % 23))));
                         const Tensor ids = ints(positions);
                         backend.rope({x, ids, static_cast<int>(rotary), 1e7});
                         return collect(std::move(x));
                       }});
    }
  }
}

inline void add_routing_cases(std::vector<OpCase>& cases) {
  struct Shape {
    int64_t tokens, experts, choices, width;
  };
  for (const Shape& s :
       {Shape{1, 1, 1, 5}, Shape{3, 8, 2, 16}, Shape{200, 32, 2, 100}, Shape{513, 6, 6, 9}}) {
    const auto name = [&](const char* op) {
      return shape_name(op, {s.tokens, s.experts, s.choices, s.width}, {});
    };
    const auto route = [s](Backend& backend, Tensor& logits, Tensor& ids) {
      Random random(8);
      logits = random_tensor(random, DType::kF32, {s.tokens, s.experts}, 2);
      ids = Tensor(DType::kI32, {s.tokens, s.choices});
      backend.route_topk(logits, ids);
    };
    cases.push_back({name("route_topk"), {}, [=](Backend& backend) {
                       Tensor logits, ids;
                       route(backend, logits, ids);
                       return collect(std::move(ids));
                     }});
    cases.push_back({name("route_weights"), {0, 4 * kUlp}, [=](Backend& backend) {
                       Tensor logits, ids;
                       route(backend, logits, ids);
                       Tensor weights(DType::kF32, {s.tokens, s.choices});
                       backend.route_weights(logits, ids, weights);
                       return collect(std::move(weights));
                     }});
    const Bound combine{static_cast<double>(s.choices) * kUlp, 0};
    cases.push_back(
        {name("group_gather_combine"), combine, [=](Backend& backend) {
           Tensor logits, ids;
           route(backend, logits, ids);
           const int64_t rows = s.tokens * s.choices;
           Tensor order(DType::kI32, {rows});
           Tensor positions(DType::kI32, {s.tokens, s.choices});
           Tensor offsets(DType::kI32, {s.experts + 1});
           backend.group_by_expert(ids, static_cast<int>(s.experts), {order, positions, offsets});
           Random random(9);
           const Tensor x = random_tensor(random, DType::kF32, {s.tokens, s.width});
           const Tensor w = random_tensor(random, DType::kF32, {s.tokens, s.choices});
           Tensor routed(DType::kF32, {rows, s.width});
           Tensor out(DType::kF32, {s.tokens, s.width});
           backend.gather_rows(x, order, routed);
           backend.combine_rows(routed, positions, w, out);
           std::vector<Tensor> written = collect(std::move(out));
           written.push_back(std::move(order));
           written.push_back(std::move(positions));
           written.push_back(std::move(offsets));
           written.push_back(std::move(routed));
           return written;
         }});
  }
}

inline void add_lightning_cases(std::vector<OpCase>& cases) {
  for (int64_t size : {1, 12, 32, 64, 128}) {
    for (DType type : {DType::kF32, DType::kBf16}) {
      const AttentionShape shape{3, 3, size, type, type};
      // Σ over K, 64 rows and the blocks within the horizon, in f32 against double.
      cases.push_back({shape_name("lightning", {size}, {type}),
                       {1e-5, 0},
                       [=](Backend& backend) {
                         LightningProblem problem(shape, {300, 64, 70, 5});
                         problem.run(backend, {{0, 130}, {0, 64}, {0, 1}, {0, 5}}, {0, 1, 2, 3});
                         problem.run(backend, {{1, 69}, {130, 1}}, {2, 0});
                         problem.run(backend, Span{131, 169});
                         std::vector<Tensor> written;
                         for (size_t n = 0; n < 4; ++n) written.push_back(clone(problem.out(n)));
                         written.push_back(clone(problem.states()));
                         return written;
                       },
                       rounding_of(type)});
    }
  }
}

// Rows of every kind: ordinary, with one outlier, zero, of subnormal numbers, near the largest
// float.
inline Tensor rows_to_code(Random& random, DType type, int64_t heads, int64_t size) {
  Tensor rows = random_tensor(random, type, {9, heads, size});
  for (int64_t i = 0; i < rows.view().numel(); ++i) {
    const int64_t kind = i / size % 5;
    const double value = get(rows, i);
    const double factors[] = {1, i % size == 3 ? 1000.0 : 1.0, 0, 0x1p-140, 0x1p125};
    put(rows, i, value * factors[kind]);
  }
  return rows;
}

inline void add_store_kv_cases(std::vector<OpCase>& cases) {
  for (int64_t size : {1, 12, 16, 64, 129}) {
    for (DType type : {DType::kF32, DType::kBf16}) {
      for (DType cache : {DType::kF32, DType::kBf16, DType::kI8, DType::kF8E4M3}) {
        // The largest magnitude is exact, scale and quotient are rounded once each.
        cases.push_back({shape_name("store_kv", {size}, {type, cache}), {}, [=](Backend& backend) {
                           Random random(10);
                           const Tensor k = rows_to_code(random, type, 3, size);
                           const Tensor v = rows_to_code(random, type, 3, size);
                           Tensor pages(cache, {2, 3, 2, kBlockTokens, size});
                           Tensor scales(DType::kF32, {2, 3, 2, kBlockTokens});
                           Tensor table(DType::kI32, {1, 2});
                           table.ptr<int32_t>()[0] = 1;
                           PagedKv kv{pages, table};
                           if (is_scaled(cache))
                             kv.scales = scales;
                           backend.store_kv(k, v, kv, Step({{60, 9}}).ragged());
                           std::vector<Tensor> written = collect(std::move(pages));
                           written.push_back(std::move(scales));
                           return written;
                         }});
      }
    }
  }
}

/// What bf16 dot products of softmax attention round: weights, each by at most 2⁻⁸ of itself, and
/// queries that come in f32. docs/numerics.md has the sums.
inline Bound softmax_rounding_of(const AttentionShape& shape) {
  if (shape.output() != DType::kBf16 || shape.cache != DType::kBf16)
    return {};
  return {0x1p-8 + (shape.dtype == DType::kF32 ? 0x1p-7 : 0), 0};
}

/// What bf16 operands round on a device: weights and queries, and, of codes, the keys and values
/// that these stand for, another rounding of as many terms.
inline Bound device_rounding_of(const AttentionShape& shape) {
  Bound bound = rounding_of(shape.output());
  if (is_scaled(shape.cache))
    bound.absolute *= 2;
  return bound;
}

// What is cached of rows of this type: the same type, or codes.
inline std::vector<DType> cache_types(DType type) {
  return {type, DType::kI8, DType::kF8E4M3};
}

inline void add_softmax_case(std::vector<OpCase>& cases, const AttentionShape& shape) {
  // Scores carry K roundings and |score| ≤ 20 turns them into a relative error of a weight.
  const Bound bound = stored_as(shape.output(), {1e-5, 0});
  std::string name =
      shape_name("softmax", {shape.heads, shape.kv_heads, shape.size}, {shape.dtype, shape.cache});
  if (shape.output() != shape.dtype)
    name += std::string("_to_") + to_string(shape.output());
  cases.push_back({name, bound,
                   [=](Backend& backend) {
                     SoftmaxProblem problem(shape, {600, 64, 70, 5});
                     problem.run(backend, {{0, 300}, {0, 64}, {0, 1}, {0, 5}}, {0, 1, 2, 3});
                     problem.run(backend, {{1, 69}, {300, 1}}, {2, 0});
                     problem.run(backend, Span{301, 1});
                     problem.run(backend, Span{302, 298});
                     std::vector<Tensor> written;
                     for (size_t n = 0; n < 4; ++n) written.push_back(clone(problem.out(n)));
                     return written;
                   },
                   device_rounding_of(shape), softmax_rounding_of(shape)});
}

inline void add_softmax_cases(std::vector<OpCase>& cases) {
  struct Heads {
    int64_t heads, kv_heads, size;
  };
  for (const Heads& h : {Heads{1, 1, 1}, Heads{6, 2, 12}, Heads{4, 1, 64}, Heads{8, 2, 64},
                         Heads{3, 3, 128}, Heads{16, 2, 128}, Heads{16, 1, 32}}) {
    // As the model calls it in bf16: queries in f32, the rest in bf16.
    const DType bf16 = DType::kBf16;
    std::vector<AttentionShape> shapes = {{h.heads, h.kv_heads, h.size, DType::kF32, bf16, bf16}};
    for (DType type : {DType::kF32, bf16}) {
      for (DType cache : cache_types(type))
        shapes.push_back({h.heads, h.kv_heads, h.size, type, cache});
    }
    for (const AttentionShape& shape : shapes) add_softmax_case(cases, shape);
  }
}

inline std::vector<OpCase> op_cases() {
  std::vector<OpCase> cases;
  add_elementwise_cases(cases);
  add_rope_cases(cases);
  add_routing_cases(cases);
  add_lightning_cases(cases);
  add_store_kv_cases(cases);
  add_softmax_cases(cases);
  return cases;
}

}  // namespace mm::testing
