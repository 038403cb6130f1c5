/// `quantization_config` of config.json, in the compressed-tensors conventions.
#pragma once

#include <string_view>

#include "base/json.h"
#include "model/config.h"

namespace mm {

/// What config.json's root says about quantised weights; method is empty when it says nothing.
/// Accepted: weight-only symmetric int8 with one scale per channel ("int-quantized") and int4 in
/// groups of 32, 64 or 128 ("pack-quantized"), or groups of both ("mixed-precision"). Throws
/// kUnsupported naming what else was found, kBadInput for broken values.
QuantizationConfig read_quantization(const JsonView& root, std::string_view source);

}  // namespace mm
