/// `quantization_config` of config.json, in the compressed-tensors conventions.
#pragma once

#include <string_view>

#include "base/json.h"
#include "model/config.h"

namespace mm {

/// What config.json's root says about quantised weights; method is empty when it says nothing.
/// Accepted: weight-only symmetric int8 with one scale per channel ("int-quantized"), e4m3 with one
/// ("float-quantized"; activations may be given as e4m3 with a dynamic scale per token, which says
/// how to compute, not what the weights are) and int4 in groups of 32, 64 or 128
/// ("pack-quantized"), or groups of several ("mixed-precision"). Throws kUnsupported naming what
/// else was found, kBadInput for broken values.
QuantizationConfig read_quantization(const JsonView& root, std::string_view source);

}  // namespace mm
