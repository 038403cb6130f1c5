/// What the machine can do at best, measured beside the work.
#pragma once

#include <memory>
#include <string>

#include "base/thread_pool.h"
#include "tensor/device.h"

namespace mm::cli {

class BenchCeilings {
 public:
  virtual ~BenchCeilings() = default;
  /// Bytes a second that can be read.
  virtual double read() = 0;
  /// Bytes a second of a copy, read plus written; 0: not measured here.
  virtual double copy() = 0;
  /// FLOP/s of a large bf16 product.
  virtual double product() = 0;
  /// Who made that product, known once it was measured.
  virtual std::string product_by() const = 0;
};

/// Those of an accelerator, or of the host's threads. Throws kOutOfMemory, kDevice.
std::unique_ptr<BenchCeilings> make_ceilings(Device device, ThreadPool& pool);

}  // namespace mm::cli
