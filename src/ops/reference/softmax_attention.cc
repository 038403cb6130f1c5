#include <algorithm>
#include <cmath>

#include "ops/kv_scale.h"
#include "ops/ragged.h"
#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {
namespace {

// Where the key (which = 0) or value (which = 1) of a token lies for one kv head.
struct KvRow {
  int64_t codes;  // offset in pages
  int64_t scale;  // offset in scales

  KvRow(const PagedKv& kv, int64_t sequence, int64_t position, int64_t head, int64_t which) {
    const TensorView& pages = kv.pages;
    const int64_t page = page_of(kv, sequence, position);
    const int64_t row = position % kBlockTokens;
    codes = page * pages.stride(0) + head * pages.stride(1) + which * pages.stride(2) +
            row * pages.stride(3);
    scale =
        page * kv.scales.stride(0) + head * kv.scales.stride(1) + which * kv.scales.stride(2) + row;
  }
};

double scale_of(const PagedKv& kv, const KvRow& row) {
  return is_scaled(kv.pages.dtype) ? load(kv.scales, row.scale) : 1;
}

// The scale and codes of one row, in f32 as the op defines them.
void store_codes(const TensorView& from, int64_t offset, const PagedKv& kv, const KvRow& row) {
  const int64_t size = kv.pages.dim(4);
  const auto element = [&](int64_t c) { return static_cast<float>(load(from, offset + c)); };
  float largest = 0;
  for (int64_t c = 0; c < size; ++c) {
    const float magnitude = std::abs(element(c));
    if (magnitude > largest || std::isnan(magnitude))
      largest = magnitude;
  }
  const float scale = kv_scale(largest, kv.pages.dtype);
  store(kv.scales, row.scale, scale);
  for (int64_t c = 0; c < size; ++c)
    store(kv.pages, row.codes + c, std::isfinite(scale) ? element(c) / scale : 0.0f);
}

void store_row(const TensorView& from, int64_t offset, const PagedKv& kv, const KvRow& row) {
  if (is_scaled(kv.pages.dtype)) {
    store_codes(from, offset, kv, row);
    return;
  }
  for (int64_t c = 0; c < kv.pages.dim(4); ++c)
    store(kv.pages, row.codes + c, load(from, offset + c));
}

struct Query {
  int64_t sequence;
  int64_t position;
  int64_t row;
  int64_t head;
};

void attend(const SoftmaxArgs& args, const Query& query) {
  const int64_t size = args.q.dim(2);
  const int64_t kv_head = query.head * args.kv.pages.dim(1) / args.q.dim(1);
  const int64_t q = head_offset(args.q, query.row, query.head);
  std::vector<double> scores(static_cast<size_t>(query.position + 1));
  for (size_t j = 0; j < scores.size(); ++j) {
    const KvRow key(args.kv, query.sequence, static_cast<int64_t>(j), kv_head, 0);
    for (int64_t c = 0; c < size; ++c)
      scores[j] += load(args.q, q + c) * load(args.kv.pages, key.codes + c);
    scores[j] *= double{args.scale} * scale_of(args.kv, key);
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  std::vector<double> out(static_cast<size_t>(size));
  for (size_t j = 0; j < scores.size(); ++j) {
    const double weight = std::exp(scores[j] - largest);
    total += weight;
    const KvRow value(args.kv, query.sequence, static_cast<int64_t>(j), kv_head, 1);
    const double unit = weight * scale_of(args.kv, value);
    for (int64_t c = 0; c < size; ++c)
      out[static_cast<size_t>(c)] += unit * load(args.kv.pages, value.codes + c);
  }
  const int64_t target = head_offset(args.out, query.row, query.head);
  for (int64_t c = 0; c < size; ++c)
    store(args.out, target + c, out[static_cast<size_t>(c)] / total);
}

}  // namespace

void store_kv(const TensorView& k, const TensorView& v, const PagedKv& kv, const Ragged& rows) {
  for (int64_t n = 0; n < num_sequences(rows); ++n) {
    const SequenceRows sequence = sequence_rows(rows, n, k.dim(0));
    for (int64_t i = 0; i < sequence.count; ++i) {
      const int64_t row = sequence.first + i;
      for (int64_t g = 0; g < k.dim(1); ++g) {
        const int64_t position = sequence.start + i;
        store_row(k, head_offset(k, row, g), kv, KvRow(kv, n, position, g, 0));
        store_row(v, head_offset(v, row, g), kv, KvRow(kv, n, position, g, 1));
      }
    }
  }
}

void softmax_attention(const SoftmaxArgs& args) {
  for (int64_t n = 0; n < num_sequences(args.rows); ++n) {
    const SequenceRows sequence = sequence_rows(args.rows, n, args.q.dim(0));
    for (int64_t i = 0; i < sequence.count; ++i) {
      for (int64_t h = 0; h < args.q.dim(1); ++h)
        attend(args, {n, sequence.start + i, sequence.first + i, h});
    }
  }
}

}  // namespace mm::reference
