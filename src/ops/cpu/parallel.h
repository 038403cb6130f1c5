/// When the CPU ops share work out: below a few microseconds a thread alone is faster.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/thread_pool.h"

namespace mm::cpu {

/// Elements a thread passes through in about the time that waking the team takes.
constexpr int64_t kInlineElements = 8192;

/// Shares out `rows` rows of `width` elements: work(begin, end) on contiguous ranges of rows.
template <typename Work>
void for_rows(ThreadPool& pool, int64_t rows, int64_t width, Work&& work) {
  if (rows * width <= kInlineElements) {
    work(int64_t{0}, rows);
    return;
  }
  pool.parallel_for(rows, 1, [&](int64_t begin, int64_t end, int) { work(begin, end); });
}

/// Shares out `count` elements in whole cache lines: work(begin, end).
template <typename Work>
void for_elements(ThreadPool& pool, int64_t count, Work&& work) {
  if (count <= kInlineElements) {
    work(int64_t{0}, count);
    return;
  }
  pool.parallel_for(count, 64, [&](int64_t begin, int64_t end, int) { work(begin, end); });
}

/// Units of unequal cost, handed out in order to whoever is free: work(unit, thread).
template <typename Work>
void for_units(ThreadPool& pool, int64_t units, Work&& work) {
  std::atomic<int64_t> next{0};
  pool.run([&](int thread) {
    for (int64_t unit = next.fetch_add(1, std::memory_order_relaxed); unit < units;
         unit = next.fetch_add(1, std::memory_order_relaxed))
      work(unit, thread);
  });
}

}  // namespace mm::cpu
