#include <algorithm>
#include <cmath>

#include "ops/ragged.h"
#include "ops/reference/access.h"
#include "ops/reference/ops.h"

namespace mm::reference {
namespace {

// Offset of the key (which = 0) or value (which = 1) of kv head g at `position` of sequence n.
int64_t kv_offset(const PagedKv& kv, int64_t n, int64_t position, int64_t g, int64_t which) {
  const TensorView& pages = kv.pages;
  return page_of(kv, n, position) * pages.stride(0) + g * pages.stride(1) +
         which * pages.stride(2) + position % kBlockTokens * pages.stride(3);
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
    const int64_t key = kv_offset(args.kv, query.sequence, static_cast<int64_t>(j), kv_head, 0);
    for (int64_t c = 0; c < size; ++c)
      scores[j] += load(args.q, q + c) * load(args.kv.pages, key + c);
    scores[j] *= double{args.scale};
  }
  const double largest = *std::max_element(scores.begin(), scores.end());
  double total = 0;
  std::vector<double> out(static_cast<size_t>(size));
  for (size_t j = 0; j < scores.size(); ++j) {
    const double weight = std::exp(scores[j] - largest);
    total += weight;
    const int64_t value = kv_offset(args.kv, query.sequence, static_cast<int64_t>(j), kv_head, 1);
    for (int64_t c = 0; c < size; ++c)
      out[static_cast<size_t>(c)] += weight * load(args.kv.pages, value + c);
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
        const int64_t key = kv_offset(kv, n, sequence.start + i, g, 0);
        const int64_t value = kv_offset(kv, n, sequence.start + i, g, 1);
        for (int64_t c = 0; c < k.dim(2); ++c) {
          store(kv.pages, key + c, load(k, head_offset(k, row, g) + c));
          store(kv.pages, value + c, load(v, head_offset(v, row, g) + c));
        }
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
