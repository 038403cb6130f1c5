#include "model/config_keys.h"

#include "base/error.h"

namespace mm {
namespace {

bool same_value(const JsonView& a, const JsonView& b) {
  if (a.is_number() && b.is_number())
    return a.as_double("") == b.as_double("");
  return a.dump() == b.dump();
}

}  // namespace

ConfigKeys::ConfigKeys(const JsonView& object, std::string_view source) : source_(source) {
  for (const auto& [name, value] : object.members(source)) {
    const bool nested = name == "rope_parameters" || name == "rope_scaling";
    if (!nested || !value.is_object()) {
      add(std::string(name), value);
      continue;
    }
    for (const auto& [inner, inner_value] : value.members(source))
      add(std::string(name) + "." + std::string(inner), inner_value);
  }
}

void ConfigKeys::add(std::string name, const JsonView& value) {
  if (!values_.emplace(name, value).second)
    bad_input("{}: {} is given twice", source_, name);
  order_.push_back(std::move(name));
}

std::optional<ConfigKey> ConfigKeys::find(std::initializer_list<std::string_view> names) {
  std::optional<ConfigKey> found;
  for (const std::string_view name : names) {
    const auto entry = values_.find(name);
    if (entry == values_.end())
      continue;
    used_.insert(entry->first);
    if (entry->second.is_null())
      continue;
    if (!found) {
      found = ConfigKey{entry->first, entry->second};
    } else if (!same_value(found->value, entry->second)) {
      bad_input("{}: {} {} and {} {} contradict each other; remove the wrong one", source_,
                found->name, found->value.dump(), name, entry->second.dump());
    }
  }
  return found;
}

ConfigKey ConfigKeys::get(std::initializer_list<std::string_view> names) {
  std::optional<ConfigKey> found = find(names);
  if (!found)
    bad_input("{}: {} is missing", source_, *names.begin());
  return *found;
}

int64_t ConfigKeys::integer(std::initializer_list<std::string_view> names, int64_t least,
                            int64_t most) {
  const ConfigKey key = get(names);
  const int64_t value = key.value.as_int(key.what(source_));
  if (value < least || value > most)
    bad_input("{}: {} {}, expected {} to {}", source_, key.name, value, least, most);
  return value;
}

int64_t ConfigKeys::integer_or(std::initializer_list<std::string_view> names, int64_t missing) {
  const std::optional<ConfigKey> key = find(names);
  return key ? key->value.as_int(key->what(source_)) : missing;
}

double ConfigKeys::number_or(std::initializer_list<std::string_view> names, double missing) {
  const std::optional<ConfigKey> key = find(names);
  return key ? key->value.as_double(key->what(source_)) : missing;
}

bool ConfigKeys::boolean_or(std::string_view name, bool missing) {
  const std::optional<ConfigKey> key = find({name});
  return key ? key->value.as_bool(key->what(source_)) : missing;
}

std::vector<std::string> ConfigKeys::unknown() const {
  std::vector<std::string> names;
  for (const std::string& name : order_) {
    if (used_.find(name) == used_.end())
      names.push_back(name);
  }
  return names;
}

}  // namespace mm
