/// What this build is.
#pragma once

#include <string>

namespace mm {

/// The release, e.g. "0.1.0".
std::string version_string();

/// The first 12 digits of the commit it was built from, "unknown" outside a git checkout.
std::string commit();

}  // namespace mm
