#include "text/grammar/schema_overlap.h"

#include <algorithm>
#include <optional>

#include "base/error.h"
#include "text/grammar/schema_keywords.h"

namespace mm::grammar {
namespace {

constexpr int kMaxReferences = 16;  // followed one after another; more may be a circle

JsonView follow(JsonView root, JsonView schema, const std::string& pointer) {
  for (int i = 0; i < kMaxReferences; ++i) {
    const auto reference = schema.find("$ref");
    if (!reference) {
      break;
    }
    schema = resolve_reference(root, *reference, pointer).first;
  }
  return schema;
}

bool lists_values(JsonView schema) {
  return schema.find("const").has_value() || schema.find("enum").has_value();
}

bool equal(JsonView a, JsonView b) {
  if (a.is_number() && b.is_number()) {
    return a.as_double("") == b.as_double("");
  }
  // Arrays and objects may be written in several ways: those might be equal.
  const bool is_simple = !a.is_array() && !a.is_object();
  return a.kind() == b.kind() && (!is_simple || a.dump() == b.dump());
}

bool lists_are_disjoint(const std::vector<JsonView>& a, const std::vector<JsonView>& b) {
  return std::none_of(a.begin(), a.end(), [&](const JsonView& x) {
    return std::any_of(b.begin(), b.end(), [&](const JsonView& y) { return equal(x, y); });
  });
}

bool kinds_are_disjoint(const std::vector<ValueKind>& a, const std::vector<ValueKind>& b) {
  // An integer is a number.
  const auto as_number = [](ValueKind kind) {
    return kind == ValueKind::kInteger ? ValueKind::kNumber : kind;
  };
  return std::none_of(a.begin(), a.end(), [&](ValueKind x) {
    return std::any_of(b.begin(), b.end(),
                       [&](ValueKind y) { return as_number(x) == as_number(y); });
  });
}

bool requires_name(JsonView schema, std::string_view name) {
  const auto required = schema.find("required");
  if (!required || !required->is_array()) {
    return false;
  }
  const std::vector<JsonView> names = required->elements("");
  return std::any_of(names.begin(), names.end(), [&](const JsonView& element) {
    return element.is_string() && element.as_string("") == name;
  });
}

class Overlap {
 public:
  Overlap(JsonView root, const std::string& pointer) : root_(root), pointer_(pointer) {}

  bool are_disjoint(JsonView a, JsonView b) const {
    a = follow(root_, a, pointer_);
    b = follow(root_, b, pointer_);
    if (!a.is_object() || !b.is_object()) {
      return false;
    }
    if (lists_values(a) && lists_values(b)) {
      return lists_are_disjoint(listed_values(a, pointer_), listed_values(b, pointer_));
    }
    if (lists_values(a) || lists_values(b)) {
      const JsonView& list = lists_values(a) ? a : b;
      const std::vector<ValueKind> kinds = read_types(lists_values(a) ? b : a, pointer_);
      const std::vector<JsonView> values = listed_values(list, pointer_);
      return !kinds.empty() &&
             std::none_of(values.begin(), values.end(),
                          [&](const JsonView& value) { return is_of_kind(value, kinds); });
    }
    const std::vector<ValueKind> kinds_of_a = read_types(a, pointer_);
    const std::vector<ValueKind> kinds_of_b = read_types(b, pointer_);
    if (kinds_of_a.empty() || kinds_of_b.empty()) {
      return false;
    }
    return kinds_are_disjoint(kinds_of_a, kinds_of_b) ||
           (kinds_of_a == std::vector{ValueKind::kObject} && kinds_of_a == kinds_of_b &&
            differ_in_a_property(a, b));
  }

 private:
  bool differ_in_a_property(JsonView a, JsonView b) const {
    const auto properties = a.find("properties");
    const auto others = b.find("properties");
    if (!properties || !others || !properties->is_object()) {
      return false;
    }
    for (const auto& [name, value] : properties->members("")) {
      const auto other = others->find(name);
      if (!other || !requires_name(a, name) || !requires_name(b, name)) {
        continue;
      }
      const JsonView left = follow(root_, value, pointer_);
      const JsonView right = follow(root_, *other, pointer_);
      if (lists_values(left) && lists_values(right) && are_disjoint(left, right)) {
        return true;
      }
    }
    return false;
  }

  const JsonView root_;
  const std::string& pointer_;
};

}  // namespace

void require_disjoint(JsonView root, const std::vector<JsonView>& schemas,
                      const std::string& pointer) {
  const Overlap overlap(root, pointer);
  for (size_t i = 0; i < schemas.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (!overlap.are_disjoint(schemas[j], schemas[i])) {
        raise(ErrorKind::kUnsupported,
              "{}: a value might fit both schema {} and {}, and then \"oneOf\" cannot be enforced; "
              "give them different types, or a required property with different \"const\", or "
              "write \"anyOf\"",
              place(pointer), j, i);
      }
    }
  }
}

}  // namespace mm::grammar
