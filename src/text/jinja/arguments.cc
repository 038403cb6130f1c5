// Bound of builtins.h: arguments matched to parameters.
#include <algorithm>

#include "base/check.h"
#include "text/jinja/builtins.h"

namespace mm::jinja {

Bound::Bound(std::string_view callee, const Arguments& arguments,
             std::initializer_list<std::string_view> names)
    : callee_(callee) {
  MM_CHECK(names.size() <= kMaxParameters);
  std::copy(names.begin(), names.end(), names_.begin());
  if (arguments.positional.size() > names.size()) {
    fault("'{}' takes at most {} argument(s), {} given", callee, names.size(),
          arguments.positional.size());
  }
  for (size_t i = 0; i < arguments.positional.size(); ++i) {
    values_[i] = &arguments.positional[i];
  }
  for (const auto& [name, value] : arguments.named) {
    const auto end = names_.begin() + static_cast<std::ptrdiff_t>(names.size());
    const auto found = std::find(names_.begin(), end, name);
    if (found == end) {
      fault("'{}' takes no argument named '{}'", callee, name);
    }
    const Value*& slot = values_[static_cast<size_t>(found - names_.begin())];
    if (slot != nullptr) {
      fault("'{}' got the argument '{}' twice", callee, name);
    }
    slot = &value;
  }
}

const Value& Bound::require(size_t index) const {
  if (values_[index] == nullptr) {
    fault("'{}' needs the argument '{}'", callee_, names_[index]);
  }
  return *values_[index];
}

int64_t Bound::integer(size_t index, int64_t fallback) const {
  if (values_[index] == nullptr) {
    return fallback;
  }
  const auto integer = values_[index]->as_integer();
  if (!integer) {
    require_defined(*values_[index]);
    fault("'{}' needs an integer as '{}', not '{}'", callee_, names_[index],
          type_name(*values_[index]));
  }
  return *integer;
}

bool Bound::flag(size_t index, bool fallback) const {
  return values_[index] == nullptr ? fallback : truthy(*values_[index]);
}

const std::string* Bound::text(size_t index) const {
  if (values_[index] == nullptr || values_[index]->is_none()) {
    return nullptr;
  }
  return &require_text(index);
}

const std::string& Bound::require_text(size_t index) const {
  const Value& value = require(index);
  if (!value.is_string()) {
    require_defined(value);
    fault("'{}' needs a string as '{}', not '{}'", callee_, names_[index], type_name(value));
  }
  return value.text();
}

const std::string& require_string(std::string_view callee, const Value& value) {
  if (!value.is_string()) {
    require_defined(value);
    fault("'{}' needs a string, not '{}'", callee, type_name(value));
  }
  return value.text();
}

}  // namespace mm::jinja
