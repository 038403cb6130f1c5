/// Where test data outside the repository lies.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <string>

namespace mm {

/// A path below the shared data folder; check with exists() and GTEST_SKIP when absent.
inline std::filesystem::path shared_path(const std::string& relative) {
  const char* folder = std::getenv("MINIMAX_SHARED_DIR");
  return std::filesystem::path(folder != nullptr ? folder : MM_SOURCE_DIR "/../shared") / relative;
}

/// A path below tests/golden.
inline std::string golden_path(const std::string& relative) {
  return std::string(MM_SOURCE_DIR "/tests/golden/") + relative;
}

}  // namespace mm
