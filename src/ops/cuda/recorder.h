/// Work that was queued before, played back: one launch where there was one for each kernel.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <map>

#include "base/function_ref.h"

namespace mm::cuda {

/// Records of the work of one stream, by key; the oldest goes when there are too many.
class Recorder {
 public:
  Recorder() = default;
  ~Recorder() { clear(); }
  Recorder(const Recorder&) = delete;
  Recorder& operator=(const Recorder&) = delete;

  /// Queues `work` on `stream`: calls it the first time, when it may allocate what it needs,
  /// records and plays it the second time, and plays it from then on. `generation` tells when
  /// memory that records may name has moved: those of another one are void. Throws kDevice, and
  /// what `work` throws.
  void run(uint64_t key, int64_t generation, cudaStream_t stream, FunctionRef<void()> work);

 private:
  struct Record {
    uint64_t turn = 0;                ///< of the last run
    cudaGraphExec_t graph = nullptr;  ///< null: called once
  };

  void clear();
  void make_room();
  static cudaGraphExec_t record(cudaStream_t stream, FunctionRef<void()> work);

  std::map<uint64_t, Record> records_;
  int64_t generation_ = 0;
  uint64_t turn_ = 0;
};

}  // namespace mm::cuda
