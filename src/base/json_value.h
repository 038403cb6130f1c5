/// Building JSON on cold paths (reports, headers, configs). nlohmann stays behind this name.
#pragma once

#include <nlohmann/json.hpp>

namespace mm {

/// A JSON value whose objects keep the order in which keys were added.
using Json = nlohmann::ordered_json;

}  // namespace mm
