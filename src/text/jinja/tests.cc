// Tests: what may stand behind `is`.
#include <algorithm>
#include <cmath>

#include "text/jinja/builtins.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

struct NamedTest {
  std::string_view name;
  Test test;
};

template <bool (*Predicate)(const Value&)>
bool check(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("test", arguments, {});
  return Predicate(input);
}

bool is_defined(const Value& value) {
  return !value.is_undefined();
}
bool is_undefined(const Value& value) {
  return value.is_undefined();
}
bool is_none(const Value& value) {
  return value.is_none();
}
bool is_boolean(const Value& value) {
  return value.is_bool();
}
bool is_true(const Value& value) {
  return value.is_bool() && value.boolean();
}
bool is_false(const Value& value) {
  return value.is_bool() && !value.boolean();
}
bool is_integer(const Value& value) {
  return value.is_int();
}
bool is_float(const Value& value) {
  return value.is_float();
}
bool is_number(const Value& value) {
  return value.is_number();
}
bool is_string(const Value& value) {
  return value.is_string();
}
bool is_mapping(const Value& value) {
  return value.is_dict();
}
bool is_sequence(const Value& value) {
  // Jinja's own definition: has a length and can be indexed; even an undefined value has.
  return value.is_undefined() || value.is_string() || value.is_dict() ||
         (value.is_sequence() && !value.sequence().is_generator() &&
          value.sequence().flavor != Flavor::kView);
}
bool is_callable(const Value& value) {
  return value.is_object() && value.object().callable();
}
bool is_escaped(const Value&) {
  return false;
}

int64_t require_integer(std::string_view name, const Value& value) {
  const auto integer = value.as_integer();
  if (!integer) {
    require_defined(value);
    fault("the test '{}' needs an integer, not '{}'", name, type_name(value));
  }
  return *integer;
}

bool test_odd(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("odd", arguments, {});
  return require_integer("odd", input) % 2 != 0;
}

bool test_even(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("even", arguments, {});
  return require_integer("even", input) % 2 == 0;
}

bool test_divisibleby(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("divisibleby", arguments, {"num"});
  const Value rest = apply_binary(runtime, BinaryOp::kModulo, input, bound.require(0));
  return !truthy(rest);
}

// str.islower() / str.isupper(): some letter has a case, and none has the other.
template <bool kUpper>
bool test_case(Runtime& runtime, const Value& input, const Arguments& arguments) {
  Bound(kUpper ? "upper" : "lower", arguments, {});
  const Value text = text_of(runtime.budget(), input);
  runtime.budget().scan(text.text().size());
  bool found = false;
  for (std::string_view rest = text.text(); !rest.empty(); rest.remove_prefix(unit_size(rest))) {
    const int32_t code_point = first_code_point(rest);
    if (kUpper ? is_lower(code_point) : is_upper(code_point)) {
      return false;
    }
    found = found || (kUpper ? is_upper(code_point) : is_lower(code_point));
  }
  return found;
}

bool test_iterable(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("iterable", arguments, {});
  return iterable(input);
}

bool test_in(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("in", arguments, {"seq"});
  return contains(runtime.budget(), bound.require(0), input);
}

bool test_sameas(Runtime&, const Value& input, const Arguments& arguments) {
  const Bound bound("sameas", arguments, {"other"});
  return input.same(bound.require(0));
}

template <bool kExpected>
bool test_equal(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("eq", arguments, {"other"});
  return equals(runtime.budget(), input, bound.require(0)) == kExpected;
}

// input < other when neither is set; kSwapped exchanges the two, kNegated turns the answer.
template <bool kSwapped, bool kNegated>
bool test_order(Runtime& runtime, const Value& input, const Arguments& arguments) {
  const Bound bound("lt", arguments, {"other"});
  const Value& other = bound.require(0);
  return less_than(runtime.budget(), kSwapped ? other : input, kSwapped ? input : other) !=
         kNegated;
}

bool test_filter(Runtime&, const Value& input, const Arguments& arguments) {
  Bound("filter", arguments, {});
  const std::string& name = require_string("filter", input);
  return find_text_filter(name) != nullptr || find_list_filter(name) != nullptr ||
         find_number_filter(name) != nullptr;
}

constexpr NamedTest kTests[] = {
    {"!=", test_equal<false>},
    {"<", test_order<false, false>},
    {"<=", test_order<true, true>},
    {"==", test_equal<true>},
    {">", test_order<true, false>},
    {">=", test_order<false, true>},
    {"boolean", check<is_boolean>},
    {"callable", check<is_callable>},
    {"defined", check<is_defined>},
    {"divisibleby", test_divisibleby},
    {"eq", test_equal<true>},
    {"equalto", test_equal<true>},
    {"escaped", check<is_escaped>},
    {"even", test_even},
    {"false", check<is_false>},
    {"filter", test_filter},
    {"float", check<is_float>},
    {"ge", test_order<false, true>},
    {"greaterthan", test_order<true, false>},
    {"gt", test_order<true, false>},
    {"in", test_in},
    {"integer", check<is_integer>},
    {"iterable", test_iterable},
    {"le", test_order<true, true>},
    {"lessthan", test_order<false, false>},
    {"lower", test_case<false>},
    {"lt", test_order<false, false>},
    {"mapping", check<is_mapping>},
    {"ne", test_equal<false>},
    {"none", check<is_none>},
    {"number", check<is_number>},
    {"odd", test_odd},
    {"sameas", test_sameas},
    {"sequence", check<is_sequence>},
    {"string", check<is_string>},
    {"true", check<is_true>},
    {"undefined", check<is_undefined>},
    {"upper", test_case<true>},
};

}  // namespace

bool apply_test(Runtime& runtime, std::string_view name, const Value& input,
                const Arguments& arguments) {
  const auto* found = std::find_if(std::begin(kTests), std::end(kTests),
                                   [&](const NamedTest& entry) { return entry.name == name; });
  if (found == std::end(kTests)) {
    fault("there is no test named '{}'", name);
  }
  return found->test(runtime, input, arguments);
}

Value apply_filter(Runtime& runtime, std::string_view name, const Value& input,
                   const Arguments& arguments) {
  Filter filter = find_text_filter(name);
  if (filter == nullptr) {
    filter = find_list_filter(name);
  }
  if (filter == nullptr) {
    filter = find_number_filter(name);
  }
  if (filter == nullptr) {
    fault("there is no filter named '{}'", name);
  }
  return filter(runtime, input, arguments);
}

}  // namespace mm::jinja
