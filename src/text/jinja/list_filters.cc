// Filters over sequences and dicts: map, select, sort, first, items, …
#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

Value generator(Runtime& runtime, List items) {
  return make_sequence(runtime.budget(), std::move(items), Flavor::kGenerator);
}

bool given(const Value* value) {
  return value != nullptr && !value->is_none();
}

// Strings without case, for filters that ignore it by default.
Value folded(Runtime& runtime, const Value& value, bool exact) {
  if (exact || !value.is_string()) {
    return value;
  }
  runtime.budget().scan(value.text().size());
  return make_string(runtime.budget(), to_lower(value.text()));
}

Value filter_default(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("default", arguments, {"default_value", "boolean"});
  if (!input.is_undefined() && !(bound.flag(1, false) && !truthy(input))) {
    return input;
  }
  return bound.find(0) != nullptr ? *bound.find(0) : make_text("");
}

Value filter_length(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("length", arguments, {});
  return Value(length(runtime.budget(), input));
}

Value filter_first(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("first", arguments, {});
  if (input.is_sequence()) {
    const Sequence& sequence = input.sequence();
    if (sequence.next >= sequence.items.size()) {
      return make_undefined("No first item, sequence was empty.");
    }
    return sequence.items[sequence.is_generator() ? sequence.next++ : 0];
  }
  if (input.is_string() && !input.text().empty()) {
    return make_string(runtime.budget(), input.text().substr(0, unit_size(input.text())));
  }
  const List items = iterate(runtime.budget(), input);
  return items.empty() ? make_undefined("No first item, sequence was empty.") : items.front();
}

Value filter_last(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("last", arguments, {});
  if (input.is_sequence() && input.sequence().is_generator()) {
    fault("'last' does not take a generator; use `| list` first");
  }
  if (input.is_string() && !input.text().empty()) {
    const size_t size = last_unit_size(input.text());
    return make_string(runtime.budget(), input.text().substr(input.text().size() - size));
  }
  const List items = iterate(runtime.budget(), input);
  return items.empty() ? make_undefined("No last item, sequence was empty.") : items.back();
}

Value filter_list(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("list", arguments, {});
  return make_sequence(runtime.budget(), iterate(runtime.budget(), input));
}

Value filter_reverse(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("reverse", arguments, {});
  List items = iterate(runtime.budget(), input);
  std::reverse(items.begin(), items.end());
  if (input.is_string()) {
    std::string text;
    for (const Value& item : items) {
      text += item.text();
    }
    return make_string(runtime.budget(), std::move(text));
  }
  return generator(runtime, std::move(items));
}

const Dict& require_dict(std::string_view callee, const Value& input) {
  if (!input.is_dict()) {
    require_defined(input);
    fault("'{}' needs a dict, not '{}'", callee, type_name(input));
  }
  return input.dict();
}

List pairs_of(Runtime& runtime, const Dict& dict) {
  List pairs;
  for (const auto& [key, value] : dict.entries()) {
    pairs.push_back(make_sequence(runtime.budget(), {key, value}, Flavor::kTuple));
  }
  return pairs;
}

Value filter_items(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound("items", arguments, {});
  if (input.is_undefined()) {
    return generator(runtime, {});
  }
  return generator(runtime, pairs_of(runtime, require_dict("items", input)));
}

// Items with the keys they are ordered by.
struct Keyed {
  List keys;
  Value item;
};

void sort_keyed(Runtime& runtime, std::vector<Keyed>& items, bool reverse) {
  Budget& budget = runtime.budget();
  const auto before = [&budget](const Keyed& a, const Keyed& b) {
    for (size_t i = 0; i < a.keys.size(); ++i) {
      if (less_than(budget, a.keys[i], b.keys[i])) {
        return true;
      }
      if (less_than(budget, b.keys[i], a.keys[i])) {
        return false;
      }
    }
    return false;
  };
  std::stable_sort(items.begin(), items.end(), [&](const Keyed& a, const Keyed& b) {
    return reverse ? before(b, a) : before(a, b);
  });
}

List take_items(std::vector<Keyed> keyed) {
  List items;
  for (Keyed& entry : keyed) {
    items.push_back(std::move(entry.item));
  }
  return items;
}

// The values at each of "a.b,c" of an item; the item itself when there is no attribute.
List sort_keys(Runtime& runtime, const Value& item, const Value* attribute, bool exact) {
  if (!given(attribute)) {
    return {folded(runtime, item, exact)};
  }
  if (!attribute->is_string()) {
    return {folded(runtime, path_of(runtime, item, *attribute), exact)};
  }
  List keys;
  std::string_view rest = attribute->text();
  while (true) {
    const std::string_view part = rest.substr(0, rest.find(','));
    keys.push_back(folded(runtime, path_of(runtime, item, make_text(part)), exact));
    if (part.size() == rest.size()) {
      return keys;
    }
    rest.remove_prefix(part.size() + 1);
  }
}

Value filter_sort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("sort", arguments, {"reverse", "case_sensitive", "attribute"});
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(runtime.budget(), input)) {
    keyed.push_back({sort_keys(runtime, item, bound.find(2), bound.flag(1, false)), item});
  }
  sort_keyed(runtime, keyed, bound.flag(0, false));
  return make_sequence(runtime.budget(), take_items(std::move(keyed)));
}

Value filter_dictsort(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("dictsort", arguments, {"case_sensitive", "by", "reverse"});
  const std::string by = bound.text(1) != nullptr ? *bound.text(1) : "key";
  if (by != "key" && by != "value") {
    fault("'dictsort' sorts by 'key' or 'value', not '{}'", by);
  }
  std::vector<Keyed> keyed;
  for (const Value& pair : pairs_of(runtime, require_dict("dictsort", input))) {
    const Value& key = pair.sequence().items[by == "key" ? 0 : 1];
    keyed.push_back({{folded(runtime, key, bound.flag(0, false))}, pair});
  }
  sort_keyed(runtime, keyed, bound.flag(2, false));
  return make_sequence(runtime.budget(), take_items(std::move(keyed)));
}

Value filter_unique(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("unique", arguments, {"case_sensitive", "attribute"});
  List seen;
  List items;
  for (const Value& item : iterate(runtime.budget(), input)) {
    const Value key =
        folded(runtime, given(bound.find(1)) ? path_of(runtime, item, *bound.find(1)) : item,
               bound.flag(0, false));
    const bool known = std::any_of(seen.begin(), seen.end(), [&](const Value& other) {
      return equals(runtime.budget(), other, key);
    });
    if (!known) {
      seen.push_back(key);
      items.push_back(item);
    }
  }
  return generator(runtime, std::move(items));
}

Value filter_groupby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("groupby", arguments, {"attribute", "default", "case_sensitive"});
  const bool exact = bound.flag(2, false);
  std::vector<Keyed> keyed;
  for (const Value& item : iterate(runtime.budget(), input)) {
    Value key = path_of(runtime, item, bound.require(0));
    if (key.is_undefined() && bound.find(1) != nullptr) {
      key = *bound.find(1);
    }
    keyed.push_back({{folded(runtime, key, exact), key}, item});
  }
  for (Keyed& entry : keyed) {
    entry.keys.resize(exact ? 2 : 1);
  }
  sort_keyed(runtime, keyed, false);
  List groups;
  for (size_t at = 0; at < keyed.size();) {
    const Value key = keyed[at].keys[0];
    Value shown = given(bound.find(0)) ? path_of(runtime, keyed[at].item, *bound.find(0)) : key;
    if (shown.is_undefined() && bound.find(1) != nullptr) {
      shown = *bound.find(1);
    }
    List members;
    for (; at < keyed.size() && equals(runtime.budget(), keyed[at].keys[0], key); ++at) {
      members.push_back(keyed[at].item);
    }
    Sequence group;
    group.flavor = Flavor::kTuple;
    group.group = true;
    group.items = {std::move(shown), make_sequence(runtime.budget(), std::move(members))};
    groups.push_back(make_sequence(runtime.budget(), std::move(group)));
  }
  return make_sequence(runtime.budget(), std::move(groups));
}

// The arguments behind the first one, which named a filter, test or attribute.
Arguments without_first(const Arguments& arguments) {
  Arguments rest;
  rest.positional.assign(arguments.positional.begin() + 1, arguments.positional.end());
  rest.named = arguments.named;
  return rest;
}

Value filter_map(Runtime& runtime, const Value& input, const Arguments& arguments) {
  List items;
  if (arguments.positional.empty()) {
    const Bound bound("map", arguments, {"attribute", "default"});
    for (const Value& item : iterate(runtime.budget(), input)) {
      Value value = path_of(runtime, item, bound.require(0));
      const bool replaced = value.is_undefined() && bound.find(1) != nullptr;
      if (replaced) {
        value = *bound.find(1);
      }
      items.push_back(std::move(value));
    }
    return generator(runtime, std::move(items));
  }
  const std::string& name = require_string("map", arguments.positional[0]);
  const Arguments rest = without_first(arguments);
  for (const Value& item : iterate(runtime.budget(), input)) {
    runtime.budget().step();
    items.push_back(apply_filter(runtime, name, item, rest));
  }
  return generator(runtime, std::move(items));
}

// select, reject (kAttribute false), selectattr, rejectattr (true).
template <bool kKeep, bool kAttribute>
Value filter_select(Runtime& runtime, const Value& input, const Arguments& arguments) {
  if (kAttribute && arguments.positional.empty()) {
    fault("'selectattr' and 'rejectattr' need the name of an attribute");
  }
  const Value path = kAttribute ? arguments.positional[0] : Value();
  const Arguments test = kAttribute ? without_first(arguments) : arguments;
  const bool plain = test.positional.empty();
  const Arguments rest = plain ? test : without_first(test);
  List items;
  for (const Value& item : iterate(runtime.budget(), input)) {
    runtime.budget().step();
    const Value subject = kAttribute ? path_of(runtime, item, path) : item;
    const bool holds =
        plain ? truthy(subject)
              : apply_test(runtime, require_string("select", test.positional[0]), subject, rest);
    if (holds == kKeep) {
      items.push_back(item);
    }
  }
  return generator(runtime, std::move(items));
}

Value filter_batch(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("batch", arguments, {"linecount", "fill_with"});
  const int64_t size = bound.integer(0, 0);
  if (size < 1 || size > kMaxRangeLength) {
    fault("'batch' needs a size from 1 to {}, not {}", kMaxRangeLength, size);
  }
  List batches;
  List batch;
  for (const Value& item : iterate(runtime.budget(), input)) {
    batch.push_back(item);
    if (static_cast<int64_t>(batch.size()) == size) {
      batches.push_back(make_sequence(runtime.budget(), std::exchange(batch, {})));
    }
  }
  if (!batch.empty()) {
    if (given(bound.find(1))) {
      runtime.budget().step(size);
      batch.resize(static_cast<size_t>(size), *bound.find(1));
    }
    batches.push_back(make_sequence(runtime.budget(), std::move(batch)));
  }
  return generator(runtime, std::move(batches));
}

Value filter_slice(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("slice", arguments, {"slices", "fill_with"});
  const int64_t slices = bound.integer(0, 0);
  if (slices < 1 || slices > kMaxRangeLength) {
    fault("'slice' needs a number from 1 to {}, not {}", kMaxRangeLength, slices);
  }
  const List all = iterate(runtime.budget(), input);
  const auto count = static_cast<int64_t>(all.size());
  List result;
  int64_t at = 0;
  for (int64_t i = 0; i < slices; ++i) {
    const int64_t end = at + count / slices + (i < count % slices ? 1 : 0);
    List part(all.begin() + at, all.begin() + end);
    if (given(bound.find(1)) && i >= count % slices) {
      part.push_back(*bound.find(1));
    }
    at = end;
    result.push_back(make_sequence(runtime.budget(), std::move(part)));
  }
  return generator(runtime, std::move(result));
}

Value filter_attr(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("attr", arguments, {"name"});
  const std::string& name = bound.require_text(0);
  if (input.is_dict()) {
    // Attributes only: `attr` never looks at keys.
    const auto method = find_method(runtime, input, name);
    return method ? *method
                  : make_undefined(fmt::format("'dict object' has no attribute '{}'", name));
  }
  return attribute_of(runtime, input, name);
}

constexpr NamedFilter kFilters[] = {
    {"attr", filter_attr},
    {"batch", filter_batch},
    {"count", filter_length},
    {"d", filter_default},
    {"default", filter_default},
    {"dictsort", filter_dictsort},
    {"first", filter_first},
    {"groupby", filter_groupby},
    {"items", filter_items},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map", filter_map},
    {"reject", filter_select<false, false>},
    {"rejectattr", filter_select<false, true>},
    {"reverse", filter_reverse},
    {"select", filter_select<true, false>},
    {"selectattr", filter_select<true, true>},
    {"slice", filter_slice},
    {"sort", filter_sort},
    {"unique", filter_unique},
};

}  // namespace

Filter find_list_filter(std::string_view name) {
  const auto* found = std::find_if(std::begin(kFilters), std::end(kFilters),
                                   [&](const NamedFilter& entry) { return entry.name == name; });
  return found == std::end(kFilters) ? nullptr : found->filter;
}

}  // namespace mm::jinja
