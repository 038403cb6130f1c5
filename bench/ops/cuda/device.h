/// Device memory, random data and timing for the CUDA benches.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tensor/buffer.h"
#include "tensor/dtype.h"

namespace mm::bench {

/// Device memory of `count` elements, filled with reproducible random values scale · normal (float
/// types) or left zero.
class DeviceArray {
 public:
  DeviceArray(DType dtype, int64_t count, float scale = 0, uint64_t seed = 1);
  template <typename T>
  DeviceArray(DType dtype, const std::vector<T>& values)
      : DeviceArray(dtype, static_cast<int64_t>(values.size())) {
    copy_bytes(data(), cuda_device(), values.data(), Device{},
               static_cast<int64_t>(values.size() * sizeof(T)));
  }

  void* data() const { return buffer_.data(); }
  template <typename T>
  T* as() const {
    return static_cast<T*>(buffer_.data());
  }
  int64_t bytes() const { return buffer_.size(); }

 private:
  Buffer buffer_;
};

/// Median seconds of one call of `work`, which queues on `stream`: warmed up, then timed one by one
/// with events. With `graph`, calls are captured ten at a time and the replays are timed: for work
/// shorter than a launch.
struct Timing {
  int repeats = 20;
  bool graph = false;
};
double seconds(cudaStream_t stream, const Timing& timing, const std::function<void()>& work);

/// What the machine can do, measured in this run.
struct Ceilings {
  double copy = 0;     ///< bytes a second, read plus written, device to device
  double read = 0;     ///< bytes a second, summing a large array
  double product = 0;  ///< FLOP/s of an 8192³ bf16 product by cuBLASLt; 0 without it
};
Ceilings measure_ceilings();

/// One line of the report.
struct Row {
  std::string name;
  std::string shape;
  double seconds = 0;
  double amount = 0;  ///< bytes or FLOP that the work cannot do without
  bool is_bytes = true;
  std::string per;   ///< what `value` is, e.g. "ns/token"
  double value = 0;  ///< the figure the row is known by
  /// What limits the row, a second, and its name, where that is neither the read nor the product
  /// rate.
  double ceiling = 0;
  std::string of{};
};

/// A bench appends its rows. `filter`: see main.
void bench_lightning(cudaStream_t stream, std::vector<Row>& rows);
void bench_experts(cudaStream_t stream, std::vector<Row>& rows);
void bench_softmax(cudaStream_t stream, std::vector<Row>& rows);
void bench_sampling(cudaStream_t stream, std::vector<Row>& rows);
void bench_upload(cudaStream_t stream, std::vector<Row>& rows);

}  // namespace mm::bench
