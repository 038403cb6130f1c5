// Any bytes are either JSON that prints and parses again to the same text, or a kBadInput error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  std::string printed;
  try {
    printed = mm::JsonDocument::parse(text, "fuzz").root().dump();
  } catch (const mm::Error& error) {
    if (error.kind() != mm::ErrorKind::kBadInput) {
      throw;
    }
    return 0;
  }
  if (mm::JsonDocument::parse(printed, "printed").root().dump() != printed) {
    std::abort();
  }
  return 0;
}
