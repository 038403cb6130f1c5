// Methods of lists, tuples and dicts, and the binding of any method to its object.
#include <algorithm>
#include <array>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"

namespace mm::jinja {
namespace {

Value view(Runtime& runtime, List items, const char* label) {
  Sequence sequence;
  sequence.flavor = Flavor::kView;
  sequence.items = std::move(items);
  sequence.label = label;
  return make_sequence(runtime.budget(), std::move(sequence));
}

Value keys_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Bound("keys", arguments, {});
  return view(runtime, iterate(runtime.budget(), self), "dict_keys");
}

Value values_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Bound("values", arguments, {});
  List items;
  for (const auto& [key, value] : self.dict().entries()) {
    items.push_back(value);
  }
  return view(runtime, std::move(items), "dict_values");
}

Value items_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  Bound("items", arguments, {});
  List items;
  for (const auto& [key, value] : self.dict().entries()) {
    items.push_back(make_sequence(runtime.budget(), {key, value}, Flavor::kTuple));
  }
  return view(runtime, std::move(items), "dict_items");
}

Value get_method(Runtime&, const Value& self, const Arguments& arguments) {
  const Bound bound("get", arguments, {"key", "default"});
  if (const Value* found = self.dict().find(bound.require(0))) {
    return *found;
  }
  return bound.find(1) != nullptr ? *bound.find(1) : Value(None{});
}

Value copy_method(Runtime&, const Value& self, const Arguments& arguments) {
  Bound("copy", arguments, {});
  return self;
}

Value count_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("count", arguments, {"value"});
  const List& items = self.sequence().items;
  return Value(int64_t{std::count_if(items.begin(), items.end(), [&](const Value& item) {
    return equals(runtime.budget(), item, bound.require(0));
  })});
}

Value index_method(Runtime& runtime, const Value& self, const Arguments& arguments) {
  const Bound bound("index", arguments, {"value"});
  const List& items = self.sequence().items;
  for (size_t i = 0; i < items.size(); ++i) {
    if (equals(runtime.budget(), items[i], bound.require(0))) {
      return Value(static_cast<int64_t>(i));
    }
  }
  fault("the value is not in the list");
}

constexpr NamedMethod kDictMethods[] = {
    {"copy", copy_method}, {"get", get_method},       {"items", items_method},
    {"keys", keys_method}, {"values", values_method},
};
constexpr NamedMethod kListMethods[] = {
    {"copy", copy_method}, {"count", count_method}, {"index", index_method}};

// Methods that exist in Python but change their object.
constexpr std::array<std::string_view, 5> kDictChanges = {"clear", "pop", "popitem", "setdefault",
                                                          "update"};
constexpr std::array<std::string_view, 8> kListChanges = {"append", "clear",  "extend",  "insert",
                                                          "pop",    "remove", "reverse", "sort"};

template <typename Table>
Method find_in(const Table& table, std::string_view name) {
  const auto found = std::find_if(std::begin(table), std::end(table),
                                  [&](const NamedMethod& entry) { return entry.name == name; });
  return found == std::end(table) ? nullptr : found->method;
}

template <typename Names>
bool holds(const Names& names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

std::optional<Value> find_method(Runtime& runtime, const Value& self, std::string_view name) {
  const bool list = self.is_sequence() && self.sequence().flavor == Flavor::kList;
  if ((self.is_dict() && holds(kDictChanges, name)) || (list && holds(kListChanges, name))) {
    return make_undefined(
        fmt::format("'{}' would change a {}; templates may not, build a new one instead", name,
                    type_name(self)));
  }
  Method method = nullptr;
  if (self.is_string()) {
    method = find_string_method(name);
  } else if (self.is_dict()) {
    method = find_in(kDictMethods, name);
  } else if (list || (self.is_sequence() && self.sequence().flavor == Flavor::kTuple)) {
    method = find_in(kListMethods, name);
  }
  if (method == nullptr) {
    return std::nullopt;
  }
  check_depth(self.depth() + 1);
  runtime.budget().build(sizeof(NativeFunction) + sizeof(Value));
  return Value(ObjectRef(std::make_shared<NativeFunction>(
      std::string(name),
      [self, method](Runtime& context, const Arguments& arguments) {
        return method(context, self, arguments);
      },
      self.depth())));
}

}  // namespace mm::jinja
