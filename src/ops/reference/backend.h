/// The oracle: every op in plain loops, sums in double. Slow and obvious on purpose.
#pragma once

#include <memory>

#include "ops/backend.h"

namespace mm {

/// Makes the reference backend. Single-threaded.
std::unique_ptr<Backend> make_reference_backend();

}  // namespace mm
