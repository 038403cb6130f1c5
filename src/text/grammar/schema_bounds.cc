#include "text/grammar/schema_bounds.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "text/grammar/json_numbers.h"
#include "text/grammar/schema_keywords.h"

namespace mm::grammar {
namespace {

constexpr int64_t kMaxCount = 100'000;  // an automaton has no more states

/// A key as a part of a JSON pointer.
std::string pointer_part(std::string_view key) {
  std::string part;
  for (const char c : key) {
    if (c == '~') {
      part += "~0";
    } else if (c == '/') {
      part += "~1";
    } else {
      part += c;
    }
  }
  return part;
}

int read_one_count(JsonView schema, const char* keyword, int otherwise,
                   const std::string& pointer) {
  const auto value = schema.find(keyword);
  if (!value) {
    return otherwise;
  }
  const std::string where = place(fmt::format("{}/{}", pointer, keyword));
  const int64_t count = value->as_int(where);
  if (count < 0) {
    bad_input("{}: {}, expected a count", where, count);
  }
  if (count > kMaxCount) {
    raise(ErrorKind::kTooLarge, "{}: {} is over {}", where, count, kMaxCount);
  }
  return static_cast<int>(count);
}

struct NumberBounds {
  std::optional<double> min;
  std::optional<double> max;
  bool min_is_exclusive = false;
  bool max_is_exclusive = false;
};

std::optional<double> read_bound(JsonView schema, const char* keyword, const std::string& pointer) {
  const auto value = schema.find(keyword);
  return value ? std::optional(value->as_double(place(fmt::format("{}/{}", pointer, keyword))))
               : std::nullopt;
}

/// Of an inclusive and an exclusive bound the narrower one counts.
NumberBounds read_bounds(JsonView schema, const std::string& pointer) {
  NumberBounds bounds;
  bounds.min = read_bound(schema, "minimum", pointer);
  bounds.max = read_bound(schema, "maximum", pointer);
  const auto above = read_bound(schema, "exclusiveMinimum", pointer);
  const auto below = read_bound(schema, "exclusiveMaximum", pointer);
  if (above && (!bounds.min || *above >= *bounds.min)) {
    bounds.min = above;
    bounds.min_is_exclusive = true;
  }
  if (below && (!bounds.max || *below <= *bounds.max)) {
    bounds.max = below;
    bounds.max_is_exclusive = true;
  }
  // Beyond what is written anyway a bound changes nothing.
  constexpr double kLargest = static_cast<double>(kMaxInteger);
  if (bounds.min && *bounds.min < -kLargest) {
    bounds.min.reset();
  }
  if (bounds.max && *bounds.max > kLargest) {
    bounds.max.reset();
  }
  if ((bounds.min && *bounds.min > kLargest) || (bounds.max && *bounds.max < -kLargest)) {
    raise(ErrorKind::kUnsupported,
          "{}: the bounds leave only numbers of more than {} digits, which are not written",
          place(pointer), kMaxDigits);
  }
  return bounds;
}

std::optional<Bound> checked_bound(std::optional<double> value, bool is_exclusive,
                                   const std::string& pointer) {
  if (!value) {
    return std::nullopt;
  }
  const std::optional<Bound> bound = make_bound(*value, is_exclusive);
  if (!bound) {
    raise(ErrorKind::kUnsupported,
          "{}: the bound {} has more than {} digits and cannot be enforced", place(pointer), *value,
          kMaxDigits);
  }
  return bound;
}

}  // namespace

CountRange read_count(JsonView schema, const char* min, const char* max,
                      const std::string& pointer) {
  CountRange range;
  range.min = read_one_count(schema, min, 0, pointer);
  range.max = read_one_count(schema, max, Expression::kNoLimit, pointer);
  range.is_given = schema.find(min).has_value() || schema.find(max).has_value();
  if (range.max != Expression::kNoLimit && range.max < range.min) {
    bad_input("{}: \"{}\" {} is less than \"{}\" {}", place(pointer), max, range.max, min,
              range.min);
  }
  return range;
}

Expression bounded_integers(JsonView schema, const std::string& pointer) {
  const NumberBounds bounds = read_bounds(schema, pointer);
  int64_t min = -kMaxInteger;
  int64_t max = kMaxInteger;
  if (bounds.min) {
    const double least = std::ceil(*bounds.min);
    const bool moves = bounds.min_is_exclusive && least == *bounds.min;
    min = static_cast<int64_t>(least) + (moves ? 1 : 0);
  }
  if (bounds.max) {
    const double most = std::floor(*bounds.max);
    const bool moves = bounds.max_is_exclusive && most == *bounds.max;
    max = static_cast<int64_t>(most) - (moves ? 1 : 0);
  }
  if (min > max || min > kMaxInteger || max < -kMaxInteger) {
    return choice({});
  }
  return integers(min, max);
}

Expression bounded_numbers(JsonView schema, const std::string& pointer) {
  const NumberBounds bounds = read_bounds(schema, pointer);
  if (!bounds.min && !bounds.max) {
    return any_number();
  }
  return numbers(checked_bound(bounds.min, bounds.min_is_exclusive, pointer),
                 checked_bound(bounds.max, bounds.max_is_exclusive, pointer));
}

ObjectShape read_object(JsonView schema, const std::string& pointer) {
  ObjectShape shape;
  const auto properties = schema.find("properties");
  if (properties) {
    const std::string at = pointer + "/properties";
    for (const auto& [name, value] : properties->members(place(at))) {
      shape.properties.push_back(
          {std::string(name), fmt::format("{}/{}", at, pointer_part(name)), value, false});
    }
  }
  // Without a word about others, a schema with properties means these.
  shape.allows_others = !properties;
  if (const auto additional = schema.find("additionalProperties")) {
    shape.additional_pointer = pointer + "/additionalProperties";
    shape.allows_others = !additional->is_bool() || additional->as_bool(place(pointer));
    if (!additional->is_bool()) {
      shape.additional = *additional;
    }
  }
  const auto required = schema.find("required");
  if (!required) {
    return shape;
  }
  const std::string where = place(pointer + "/required");
  for (const JsonView& element : required->elements(where)) {
    const std::string_view name = element.as_string(where);
    const auto at =
        std::find_if(shape.properties.begin(), shape.properties.end(),
                     [&](const ObjectShape::Property& property) { return property.name == name; });
    if (at != shape.properties.end()) {
      at->is_required = true;
    } else if (schema.find("additionalProperties") && !shape.allows_others) {
      bad_input("{}: \"{}\" is required and \"additionalProperties\": false forbids it", where,
                name);
    } else {
      shape.properties.push_back({std::string(name), "", std::nullopt, true});
    }
  }
  return shape;
}

}  // namespace mm::grammar
