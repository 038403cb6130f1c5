#include "text/jinja/from_json.h"

namespace mm::jinja {

Value from_json(Budget& budget, const Json& json, int depth) {
  check_depth(depth);
  if (json.is_string()) {
    return make_string(budget, json.get_ref<const std::string&>());
  }
  if (json.is_boolean()) {
    return Value(json.get<bool>());
  }
  if (json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX}) {
    fault("the integer {} does not fit in 64 bits with a sign", json.get<uint64_t>());
  }
  if (json.is_number_integer()) {
    return Value(json.get<int64_t>());
  }
  if (json.is_number_float()) {
    return Value(json.get<double>());
  }
  if (json.is_array()) {
    List items;
    items.reserve(json.size());
    for (const Json& item : json) {
      items.push_back(from_json(budget, item, depth + 1));
    }
    return make_sequence(budget, std::move(items));
  }
  if (json.is_object()) {
    Dict dict;
    for (const auto& [key, value] : json.items()) {
      dict.set(make_string(budget, key), from_json(budget, value, depth + 1));
    }
    return make_dict(budget, std::move(dict));
  }
  return Value(None{});
}

}  // namespace mm::jinja
