/// Memory for large tables that are read at random.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>
#include <vector>

namespace mm {

/// Allocates large blocks on 2 MiB pages where the kernel allows, small ones as usual.
///
/// A look-up in a table of some megabytes on 4 KiB pages misses the address cache nearly every
/// time, which costs more than the data's own miss where page tables are nested (virtual machines).
template <typename T>
struct HugePageAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): the standard's name
  static constexpr size_t kHugePage = size_t{2} << 20;

  HugePageAllocator() = default;
  template <typename U>
  HugePageAllocator(const HugePageAllocator<U>&) {}  // NOLINT(google-explicit-constructor)

  T* allocate(size_t count) {
    const size_t bytes = count * sizeof(T);
    if (bytes < kHugePage)
      return static_cast<T*>(::operator new(bytes, std::align_val_t(alignof(T))));
    // Straight from the kernel: memory that malloc hands out again may lie on small pages already.
    // The kernel aligns a mapping to its page only, so a huge page more is asked for and the ends
    // are given back.
    const size_t rounded = round_up(bytes);
    void* memory = mmap(nullptr, rounded + kHugePage, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
      throw std::bad_alloc();
    char* start = static_cast<char*>(memory);
    const size_t skipped =
        round_up(reinterpret_cast<uintptr_t>(start)) - reinterpret_cast<uintptr_t>(start);
    if (skipped > 0)
      munmap(start, skipped);
    if (skipped < kHugePage)
      munmap(start + skipped + rounded, kHugePage - skipped);
    madvise(start + skipped, rounded, MADV_HUGEPAGE);  // refused, it only costs speed
    return reinterpret_cast<T*>(start + skipped);
  }
  void deallocate(T* memory, size_t count) {
    const size_t bytes = count * sizeof(T);
    if (bytes < kHugePage)
      ::operator delete(memory, std::align_val_t(alignof(T)));
    else
      munmap(memory, round_up(bytes));
  }

  template <typename U>
  bool operator==(const HugePageAllocator<U>&) const {
    return true;
  }

 private:
  static size_t round_up(size_t value) { return (value + kHugePage - 1) / kHugePage * kHugePage; }
};

/// A vector whose large contents lie on huge pages.
template <typename T>
using HugeVector = std::vector<T, HugePageAllocator<T>>;

}  // namespace mm
