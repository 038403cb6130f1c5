/// Clusters: blocks of threads that run at once, meet, and read each other's shared memory.
#pragma once

#include <cstdint>

namespace mm::cuda {

/// This block's place in its cluster.
__device__ inline unsigned cluster_rank() {
  unsigned rank = 0;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

/// Waits for all threads of all blocks of the cluster; what they wrote before is seen after. The
/// first one also says that the others' shared memory is there; none of them may end while it is
/// read.
__device__ inline void cluster_sync() {
  asm volatile(
      "barrier.cluster.arrive.release;\n"
      "barrier.cluster.wait.acquire;" ::
          : "memory");
}

/// Where block `rank` of the cluster has what this one has at `shared`.
template <typename T>
__device__ T* of_block(T* shared, unsigned rank) {
  uint64_t address = 0;
  asm("mapa.u64 %0, %1, %2;" : "=l"(address) : "l"(shared), "r"(rank));
  return reinterpret_cast<T*>(address);
}

}  // namespace mm::cuda
