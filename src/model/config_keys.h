/// The keys of one config.json object, each known under one or more names.
#pragma once

#include <initializer_list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace mm {

/// A key that was found: the name it has in this file, and its value.
struct ConfigKey {
  std::string name;
  JsonView value;

  /// "config.json: rope_theta", for messages.
  std::string what(std::string_view source) const { return std::string(source) + ": " + name; }
};

/// Looks keys up under all names that dialects give them, and remembers which were read.
/// `rope_parameters` and `rope_scaling` are flattened: "rope_parameters.rope_theta".
class ConfigKeys {
 public:
  /// Throws kBadInput when this is not an object or has a key twice.
  ConfigKeys(const JsonView& object, std::string_view source);

  /// The value under the first of these names that is present and not null; the others are marked
  /// as read. Throws kBadInput naming both when two are present with different values.
  std::optional<ConfigKey> find(std::initializer_list<std::string_view> names);
  /// The same for keys that must be there. Throws kBadInput.
  ConfigKey get(std::initializer_list<std::string_view> names);

  /// Typed reads, for keys that must be there and for keys with a default.
  int64_t integer(std::initializer_list<std::string_view> names, int64_t least, int64_t most);
  int64_t integer_or(std::initializer_list<std::string_view> names, int64_t missing);
  double number_or(std::initializer_list<std::string_view> names, double missing);
  bool boolean_or(std::string_view name, bool missing);

  /// Marks a key as known though nothing depends on it.
  void ignore(std::string_view name) { used_.insert(std::string(name)); }
  /// Keys that nobody asked for, in file order.
  std::vector<std::string> unknown() const;
  const std::string& source() const { return source_; }

 private:
  void add(std::string name, const JsonView& value);

  std::string source_;
  std::map<std::string, JsonView, std::less<>> values_;
  std::vector<std::string> order_;
  std::set<std::string, std::less<>> used_;
};

}  // namespace mm
