// Attribute, item and slice access of operators.h.
#include <algorithm>
#include <charconv>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

std::string described(const Value& value) {
  return value.is_none() ? "None" : type_name(value) + " object";
}

Value no_attribute(const Value& object, std::string_view name) {
  return make_undefined(fmt::format("'{}' has no attribute '{}'", described(object), name));
}

Value no_element(const Value& object, const Value& index) {
  if (index.is_string()) {
    return no_attribute(object, index.text());
  }
  const std::string shown =
      index.is_int() ? fmt::format("{}", *index.as_integer()) : type_name(index);
  return make_undefined(fmt::format("'{}' has no element {}", described(object), shown));
}

// Attributes that are no keys: methods, the names of groupby's pairs, what objects offer.
std::optional<Value> own_attribute(Runtime& runtime, const Value& object, std::string_view name) {
  if (object.is_object()) {
    return object.object().attribute(runtime, name);
  }
  if (object.is_sequence() && object.sequence().group) {
    if (name == "grouper" || name == "list") {
      return object.sequence().items[name == "list" ? 1 : 0];
    }
  }
  return find_method(runtime, object, name);
}

Value character_at(Runtime& runtime, const Value& object, int64_t index) {
  const std::string_view text = object.text();
  runtime.budget().scan(text.size());
  const auto count = static_cast<int64_t>(count_code_points(text));
  int64_t remaining = index < 0 ? index + count : index;
  if (remaining < 0 || remaining >= count) {
    return no_element(object, Value(index));
  }
  std::string_view rest = text;
  for (; remaining > 0; --remaining) {
    rest.remove_prefix(unit_size(rest));
  }
  return make_string(runtime.budget(), std::string(rest.substr(0, unit_size(rest))));
}

// Python's rules for the parts of a slice: counted from the end when negative, then clamped.
struct SliceRange {
  int64_t start;
  int64_t step;
  int64_t count;
};

std::optional<int64_t> slice_part(const Value* part) {
  if (part == nullptr || part->is_none()) {
    return std::nullopt;
  }
  const auto integer = part->as_integer();
  if (!integer) {
    require_defined(*part);
    fault("slice indices must be integers or none, not '{}'", type_name(*part));
  }
  // Far outside any length, and far from overflow.
  constexpr int64_t kFar = int64_t{1} << 40;
  return std::clamp(*integer, -kFar, kFar);
}

SliceRange slice_range(int64_t size, const Value* start, const Value* stop, const Value* step) {
  const int64_t stride = slice_part(step).value_or(1);
  if (stride == 0) {
    fault("slice step cannot be zero");
  }
  const int64_t low = stride > 0 ? 0 : -1;
  const int64_t high = stride > 0 ? size : size - 1;
  const auto place = [&](std::optional<int64_t> part, int64_t fallback) {
    if (!part) {
      return fallback;
    }
    return std::clamp(*part < 0 ? *part + size : *part, low, high);
  };
  const int64_t from = place(slice_part(start), stride > 0 ? low : high);
  const int64_t to = place(slice_part(stop), stride > 0 ? high : low);
  const int64_t span = stride > 0 ? to - from : from - to;
  const int64_t size_of_step = stride > 0 ? stride : -stride;
  return {from, stride, span > 0 ? (span + size_of_step - 1) / size_of_step : 0};
}

Value slice_text(Budget& budget, std::string_view text, const Value* start, const Value* stop,
                 const Value* step) {
  budget.scan(text.size());
  const auto count = static_cast<int64_t>(count_code_points(text));
  const SliceRange range = slice_range(count, start, stop, step);
  if (range.step == 1) {
    const size_t first = code_point_offset(text, static_cast<size_t>(range.start));
    const std::string_view rest = text.substr(first);
    const size_t size = code_point_offset(rest, static_cast<size_t>(range.count));
    return make_string(budget, std::string(rest.substr(0, size)));
  }
  budget.build(text.size() * sizeof(size_t));
  const std::vector<size_t> offsets = code_point_offsets(text);
  std::string out;
  for (int64_t i = 0; i < range.count; ++i) {
    const auto at = static_cast<size_t>(range.start + i * range.step);
    out += text.substr(offsets[at], offsets[at + 1] - offsets[at]);
  }
  return make_string(budget, std::move(out));
}

}  // namespace

Value attribute_of(Runtime& runtime, const Value& object, std::string_view name) {
  require_defined(object);
  if (const auto found = own_attribute(runtime, object, name)) {
    return *found;
  }
  const Value* member = object.is_dict() ? object.dict().find(name) : nullptr;
  return member != nullptr ? *member : no_attribute(object, name);
}

Value item_of(Runtime& runtime, const Value& object, const Value& index) {
  require_defined(object);
  const auto integer = index.as_integer();
  if (object.is_dict()) {
    const bool hashable = !index.is_sequence() && !index.is_dict() && !index.is_object();
    if (const Value* member = hashable ? object.dict().find(index) : nullptr) {
      return *member;
    }
  } else if (integer && object.is_string()) {
    return character_at(runtime, object, *integer);
  } else if (integer && object.is_sequence() && !object.sequence().is_generator()) {
    const List& items = object.sequence().items;
    const auto size = static_cast<int64_t>(items.size());
    const bool inside = *integer >= -size && *integer < size;
    return inside ? items[static_cast<size_t>(*integer < 0 ? *integer + size : *integer)]
                  : no_element(object, index);
  }
  if (index.is_string()) {
    if (const auto found = own_attribute(runtime, object, index.text())) {
      return *found;
    }
  }
  return no_element(object, index);
}

Value slice_of(Runtime& runtime, const Value& object, const Value* start, const Value* stop,
               const Value* step) {
  require_defined(object);
  Budget& budget = runtime.budget();
  if (object.is_string()) {
    return slice_text(budget, object.text(), start, stop, step);
  }
  if (!object.is_sequence() || object.sequence().is_generator() ||
      object.sequence().flavor == Flavor::kView) {
    fault("'{}' object cannot be sliced", type_name(object));
  }
  const Sequence& sequence = object.sequence();
  const SliceRange range =
      slice_range(static_cast<int64_t>(sequence.items.size()), start, stop, step);
  List items;
  items.reserve(static_cast<size_t>(range.count));
  for (int64_t i = 0; i < range.count; ++i) {
    items.push_back(sequence.items[static_cast<size_t>(range.start + i * range.step)]);
  }
  const bool tuple = sequence.flavor == Flavor::kTuple;
  return make_sequence(budget, std::move(items), tuple ? Flavor::kTuple : Flavor::kList);
}

Value path_of(Runtime& runtime, const Value& object, const Value& path) {
  if (!path.is_string()) {
    return item_of(runtime, object, path);
  }
  Value value = object;
  std::string_view rest = path.text();
  while (true) {
    runtime.budget().step();
    const std::string_view part = rest.substr(0, rest.find('.'));
    int64_t index = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
    const bool number =
        !part.empty() && part[0] != '-' && error == std::errc{} && end == part.data() + part.size();
    value = item_of(runtime, value, number ? Value(index) : make_text(part));
    if (part.size() == rest.size()) {
      return value;
    }
    rest.remove_prefix(part.size() + 1);
  }
}

}  // namespace mm::jinja
