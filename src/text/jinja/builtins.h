/// Filters, tests, methods and functions that templates can use, by name.
#pragma once

#include <array>
#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace mm::jinja {

/// input | name(arguments)
using Filter = Value (*)(Runtime& runtime, const Value& input, const Arguments& arguments);
/// input is name(arguments)
using Test = bool (*)(Runtime& runtime, const Value& input, const Arguments& arguments);
/// self.name(arguments)
using Method = Value (*)(Runtime& runtime, const Value& self, const Arguments& arguments);

struct NamedFilter {
  std::string_view name;
  Filter filter;
};
struct NamedMethod {
  std::string_view name;
  Method method;
};

/// Runs the filter `name`. Throws kBadInput when there is none.
Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   const Arguments& arguments);
/// Runs the test `name`. Throws kBadInput when there is none.
bool apply_test(Runtime& runtime, std::string_view name, const Value& input,
                const Arguments& arguments);
/// The method `name` bound to `self`; a defined reason for methods that change their object,
/// which templates may not call; nothing when the type has no such method.
std::optional<Value> find_method(Runtime& runtime, const Value& self, std::string_view name);
/// range, namespace, dict, raise_exception, …
NameMap global_functions();

/// Filters of one file each; apply_filter() asks them in turn. Null when not there.
Filter find_text_filter(std::string_view name);
Filter find_list_filter(std::string_view name);
Filter find_number_filter(std::string_view name);
Method find_string_method(std::string_view name);

/// The arguments of one call matched to parameter names.
class Bound {
 public:
  /// Throws kBadInput when there are too many or a name is unknown or given twice.
  Bound(std::string_view callee, const Arguments& arguments,
        std::initializer_list<std::string_view> names);

  /// The argument, or null when it was not given.
  const Value* find(size_t index) const { return values_[index]; }
  /// The argument. Throws kBadInput when it was not given.
  const Value& require(size_t index) const;
  /// The argument as the asked type, or the fallback. Throws kBadInput for other types.
  int64_t integer(size_t index, int64_t fallback) const;
  bool flag(size_t index, bool fallback) const;
  const std::string* text(size_t index) const;
  const std::string& require_text(size_t index) const;

 private:
  static constexpr size_t kMaxParameters = 6;
  std::string_view callee_;
  std::array<std::string_view, kMaxParameters> names_{};
  std::array<const Value*, kMaxParameters> values_{};
};

/// Throws when `value` is no string: "'int' object is not a string".
const std::string& require_string(std::string_view callee, const Value& value);

}  // namespace mm::jinja
