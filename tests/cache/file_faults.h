/// Makes the n-th file operation of the program fail, or kills the process in the middle of it.
/// The linker directs the calls listed in tests/CMakeLists.txt here, so the code under test is the
/// code that ships.
#pragma once

#include <cstdint>

namespace mm {

enum class Fault { kNone, kFail, kKill };

/// Counts operations from now on; the one with number `index` (from 0) suffers `fault`. kFail sets
/// errno to `error`; a write that suffers has written half of its bytes.
void plan_fault(Fault fault, int64_t index, int error = 0);
/// Operations since plan_fault().
int64_t operation_count();
/// From now on link() fails as between file systems.
void forbid_links(bool forbidden);

}  // namespace mm
