// Any bytes are either a config whose every weight has a sane size, or a kBadInput or kUnsupported
// error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "model/config.h"
#include "model/weight_table.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

void check(const mm::ModelConfig& config) {
  mm::validate(config, "fuzz");
  // The list of a huge model is slow to make and shows nothing that a small one does not.
  if (int64_t{config.num_layers()} * config.num_experts > 4096) {
    return;
  }
  for (const mm::WeightSlot& slot : mm::weight_slots(config)) {
    const double size = static_cast<double>(slot.rows) * static_cast<double>(slot.cols);
    require(slot.rows > 0 && slot.cols > 0 && size < 0x1p54);
    require(!slot.name().empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    check(mm::read_config({reinterpret_cast<const char*>(data), size}, "fuzz").model);
  } catch (const mm::Error& error) {
    require(error.kind() == mm::ErrorKind::kBadInput ||
            error.kind() == mm::ErrorKind::kUnsupported);
  }
  return 0;
}
