/// Python's two ways of filling in a string: "%s" % values and "{}".format(values).
#pragma once

#include <string_view>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace mm::jinja {

/// format % arguments, with the conversions s r d i u x X o e E f F g G c and %%.
/// Throws kBadInput for others and when the number of arguments differs.
Value format_percent(Budget& budget, std::string_view format, const List& arguments);

/// format.format(arguments): {} {0} {name}, each with [.attribute], [!r] or [!s] and
/// [:fill align sign 0 width , .precision type]. Throws kBadInput for anything else.
Value format_braces(Runtime& runtime, std::string_view format, const Arguments& arguments);

}  // namespace mm::jinja
