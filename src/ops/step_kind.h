/// What a step is made of, for backends whose kernels differ between the two.
#pragma once

#include <cstdint>

namespace mm {

enum class StepKind : uint8_t {
  kDecode,   ///< one row of each sequence
  kPrefill,  ///< several rows of a sequence
};

/// A backend that chooses kernels by the kind of a step, not by how many rows it has, so that the
/// bits of a row do not depend on which others run beside it.
class StepAware {
 public:
  virtual ~StepAware() = default;

  /// Says what the calls until the next begin_step() belong to.
  virtual void begin_step(StepKind kind) = 0;
};

}  // namespace mm
