#include "text/jinja/value.h"

#include <algorithm>
#include <cmath>

#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

// Bookkeeping bytes per shared string and per container, for the budget.
constexpr size_t kStringOverhead = 48;
constexpr size_t kContainerOverhead = 96;
constexpr size_t kDictEntryBytes = 160;

// Python's rule that equal keys hash equally: 1, 1.0 and True are one key.
std::string canonical_key(const Value& key) {
  if (key.is_string()) {
    return "s" + key.text();
  }
  if (const auto integer = key.as_integer()) {
    return fmt::format("i{}", *integer);
  }
  if (key.is_float()) {
    const double number = key.number();
    if (number == std::floor(number) && std::abs(number) < 9e18) {
      return fmt::format("i{}", static_cast<int64_t>(number));
    }
    return fmt::format("f{}", number);
  }
  if (key.is_none()) {
    return "n";
  }
  if (key.is_undefined()) {
    return "u";  // hashable in Jinja, equal to no key of a dict
  }
  fault("a value of type '{}' cannot be a dict key; use a string or number", type_name(key));
}

}  // namespace

std::optional<int64_t> Value::as_integer() const {
  if (const auto* boolean = std::get_if<bool>(&data_)) {
    return *boolean ? 1 : 0;
  }
  if (const auto* integer = std::get_if<int64_t>(&data_)) {
    return *integer;
  }
  return std::nullopt;
}

std::optional<double> Value::as_number() const {
  if (const auto integer = as_integer()) {
    return static_cast<double>(*integer);
  }
  if (is_float()) {
    return number();
  }
  return std::nullopt;
}

int Value::depth() const {
  if (is_sequence()) {
    return sequence().depth;
  }
  if (is_dict()) {
    return dict().depth();
  }
  return is_object() ? object().depth() : 0;
}

bool Value::same(const Value& other) const {
  if (data_.index() != other.data_.index()) {
    return false;
  }
  if (is_string()) {
    return text() == other.text();  // Python interns most of them
  }
  if (is_sequence()) {
    return &sequence() == &other.sequence();
  }
  if (is_dict()) {
    return &dict() == &other.dict();
  }
  if (is_object()) {
    return &object() == &other.object();
  }
  return as_number() == other.as_number();
}

const Value* Dict::find(const Value& key) const {
  const auto found = index_.find(canonical_key(key));
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

const Value* Dict::find(std::string_view key) const {
  std::string canonical = "s";
  canonical += key;
  const auto found = index_.find(canonical);
  return found == index_.end() ? nullptr : &entries_[found->second].second;
}

void Dict::set(const Value& key, Value value) {
  depth_ = std::max(depth_, value.depth() + 1);
  check_depth(depth_);
  const auto [place, added] = index_.emplace(canonical_key(key), entries_.size());
  if (added) {
    entries_.emplace_back(key, std::move(value));
  } else {
    entries_[place->second].second = std::move(value);
  }
}

std::optional<Value> Object::attribute(Runtime&, std::string_view) {
  return std::nullopt;
}

Value Object::call(Runtime&, const Arguments&) {
  fault("'{}' object is not callable", type_name());
}

std::optional<Value> Namespace::attribute(Runtime&, std::string_view name) {
  const auto found = values_.find(name);
  return found == values_.end() ? std::nullopt : std::optional<Value>(found->second);
}

void Namespace::set(std::string_view name, Value value) {
  values_.insert_or_assign(std::string(name), std::move(value));
}

Value make_string(Budget& budget, std::string text) {
  budget.check_string(text.size());
  budget.build(text.size() + kStringOverhead);
  return Value(std::make_shared<const std::string>(std::move(text)));
}

Value make_text(std::string_view text) {
  return Value(std::make_shared<const std::string>(text));
}

Value make_undefined(std::string reason) {
  return Value(Undefined{std::make_shared<const std::string>(std::move(reason))});
}

Value make_sequence(Budget& budget, List items, Flavor flavor) {
  Sequence sequence;
  sequence.flavor = flavor;
  sequence.items = std::move(items);
  return make_sequence(budget, std::move(sequence));
}

Value make_sequence(Budget& budget, Sequence sequence) {
  budget.step(static_cast<int64_t>(sequence.items.size()));
  budget.build(kContainerOverhead + sequence.items.size() * sizeof(Value));
  int depth = 0;
  for (const Value& item : sequence.items) {
    depth = std::max(depth, item.depth());
  }
  sequence.depth = depth + 1;
  check_depth(sequence.depth);
  return Value(std::make_shared<const Sequence>(std::move(sequence)));
}

Value make_dict(Budget& budget, Dict dict) {
  budget.step(static_cast<int64_t>(dict.size()));
  budget.build(kContainerOverhead + dict.size() * kDictEntryBytes);
  return Value(std::make_shared<const Dict>(std::move(dict)));
}

void check_depth(int depth) {
  if (depth > kMaxValueDepth) {
    too_large("values nest more than {} levels deep", kMaxValueDepth);
  }
}

std::string type_name(const Value& value) {
  if (value.is_undefined()) {
    return "Undefined";
  }
  if (value.is_none()) {
    return "NoneType";
  }
  if (value.is_bool()) {
    return "bool";
  }
  if (value.is_int()) {
    return "int";
  }
  if (value.is_float()) {
    return "float";
  }
  if (value.is_string()) {
    return "str";
  }
  if (value.is_dict()) {
    return "dict";
  }
  if (value.is_object()) {
    return value.object().type_name();
  }
  switch (value.sequence().flavor) {
    case Flavor::kList:
      return "list";
    case Flavor::kTuple:
      return "tuple";
    case Flavor::kRange:
      return "range";
    case Flavor::kView:
      return value.sequence().label;
    case Flavor::kGenerator:
      return "generator";
  }
  return "object";
}

void require_defined(const Value& value) {
  if (value.is_undefined()) {
    const StringRef& reason = value.undefined().reason;
    fault("{}", reason ? *reason : "an undefined value is used");
  }
}

bool truthy(const Value& value) {
  if (value.is_undefined() || value.is_none()) {
    return false;
  }
  if (const auto number = value.as_number()) {
    return *number != 0;
  }
  if (value.is_string()) {
    return !value.text().empty();
  }
  if (value.is_dict()) {
    return value.dict().size() != 0;
  }
  if (value.is_sequence()) {
    // A Python generator is true even when nothing will come out of it.
    return value.sequence().is_generator() || !value.sequence().items.empty();
  }
  return true;
}

int64_t length(Budget& budget, const Value& value) {
  if (value.is_undefined()) {
    return 0;
  }
  if (value.is_string()) {
    budget.scan(value.text().size());
    return static_cast<int64_t>(count_code_points(value.text()));
  }
  if (value.is_dict()) {
    return static_cast<int64_t>(value.dict().size());
  }
  if (value.is_sequence() && !value.sequence().is_generator()) {
    return static_cast<int64_t>(value.sequence().items.size());
  }
  fault("object of type '{}' has no len(){}", type_name(value),
        value.is_sequence() ? "; use `| list` first" : "");
}

bool iterable(const Value& value) {
  return value.is_undefined() || value.is_string() || value.is_dict() || value.is_sequence();
}

List iterate(Budget& budget, const Value& value) {
  List items;
  if (value.is_sequence()) {
    const Sequence& sequence = value.sequence();
    budget.step(static_cast<int64_t>(sequence.items.size()));
    if (!sequence.is_generator()) {
      return sequence.items;
    }
    items.assign(sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.next),
                 sequence.items.end());
    sequence.next = sequence.items.size();
    return items;
  }
  if (value.is_dict()) {
    budget.step(static_cast<int64_t>(value.dict().size()));
    for (const auto& [key, unused] : value.dict().entries()) {
      items.push_back(key);
    }
    return items;
  }
  if (value.is_string()) {
    std::string_view rest = value.text();
    budget.step(static_cast<int64_t>(rest.size()));
    while (!rest.empty()) {
      const size_t size = unit_size(rest);
      items.push_back(make_string(budget, std::string(rest.substr(0, size))));
      rest.remove_prefix(size);
    }
    return items;
  }
  if (value.is_undefined()) {
    return items;
  }
  fault("'{}' object is not iterable", type_name(value));
}

}  // namespace mm::jinja
