/// Reading the ragged layout of a step on the host.
#pragma once

#include "ops/backend.h"

namespace mm {

/// One sequence's rows in a step: rows [first, first + count) stand at positions [start, …).
struct SequenceRows {
  int64_t first = 0;
  int64_t count = 0;
  int64_t start = 0;
};

/// Number of sequences in the step.
inline int64_t num_sequences(const Ragged& rows) {
  return rows.starts.dim(0);
}

/// The rows of sequence n. Throws kInternal if the offsets do not ascend from 0 to `total_rows` or
/// the start is negative.
inline SequenceRows sequence_rows(const Ragged& rows, int64_t n, int64_t total_rows) {
  const int32_t* offsets = rows.offsets.ptr<int32_t>();
  SequenceRows sequence;
  sequence.first = offsets[n];
  sequence.count = offsets[n + 1] - sequence.first;
  sequence.start = rows.starts.ptr<int32_t>()[n];
  const bool first_fits = n > 0 || sequence.first == 0;
  const bool last_fits = n + 1 < num_sequences(rows) || offsets[n + 1] == total_rows;
  MM_CHECK(first_fits && last_fits && sequence.first >= 0 && sequence.count >= 0 &&
               sequence.first + sequence.count <= total_rows && sequence.start >= 0,
           "sequence {}: rows [{}, {}) of {} at position {}", n, offsets[n], offsets[n + 1],
           total_rows, sequence.start);
  return sequence;
}

/// The page that holds `position` of sequence n. Throws kInternal if the table has none.
inline int64_t page_of(const PagedKv& kv, int64_t n, int64_t position) {
  const int64_t block = position / kBlockTokens;
  MM_CHECK(block < kv.block_table.dim(1), "sequence {}: position {} is past its {} blocks", n,
           position, kv.block_table.dim(1));
  const int64_t page = kv.block_table.ptr<int32_t>()[n * kv.block_table.stride(0) + block];
  MM_CHECK(0 <= page && page < kv.pages.dim(0), "sequence {}: block {} is page {} of {}", n, block,
           page, kv.pages.dim(0));
  return page;
}

}  // namespace mm
