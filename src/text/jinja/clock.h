/// Dates as text, with English names and no look at the host's locale or time zone.
#pragma once

#include <ctime>
#include <string_view>

#include "text/jinja/budget.h"

namespace mm::jinja {

/// Appends `format` with its % conversions filled in from `time`: a A b B c d e F H I j m M p S T
/// w x X y Y and %%; "%-d" leaves out the leading zero. Throws kBadInput for others.
void append_time(BoundedString& out, std::string_view format, const std::tm& time);

}  // namespace mm::jinja
