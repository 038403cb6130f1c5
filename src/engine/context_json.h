/// Durable contexts as JSON, for programs.
#pragma once

#include <string>
#include <vector>

#include "base/json_value.h"
#include "engine/durable_context.h"

namespace mm {

/// What a context holds and is bound to.
Json context_json(const std::string& name, const ContextManifest& manifest);

/// All that a report complains of, one sentence each.
std::vector<std::string> find_problems(const ContextReport& report);
Json context_report_json(const std::string& name, const ContextReport& report);

}  // namespace mm
