/// What some backends can do besides verbs.
#pragma once

#include <cstdint>

#include "base/function_ref.h"

namespace mm {

/// A backend that can record what it queues and play it back.
class Repeater {
 public:
  virtual ~Repeater() = default;

  /// Calls `work`, which calls verbs of this backend, with the same arguments whenever `key` is the
  /// same; or plays back what an earlier call queued: between calls only what lies in the memory of
  /// the arguments may change.
  virtual void repeat(uint64_t key, FunctionRef<void()> work) = 0;
};

}  // namespace mm
