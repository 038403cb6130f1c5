/// The `quantization_config` that describes our quantised checkpoints to other engines.
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"
#include "model/quantize.h"

namespace mm {

/// compressed-tensors' description of a checkpoint written with these options. `kept` are the
/// names of matrices that stayed in float besides those that always do.
Json quantization_config(const QuantizeOptions& options, const std::vector<std::string>& kept);

}  // namespace mm
