#include "text/jinja/operators.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "text/jinja/builtins.h"
#include "text/jinja/format.h"
#include "text/jinja/unicode.h"

namespace mm::jinja {
namespace {

constexpr const char* kSymbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()"};

[[noreturn]] void unsupported(BinaryOp op, const Value& left, const Value& right) {
  require_defined(left);
  require_defined(right);
  if (op == BinaryOp::kAdd && left.is_string()) {
    fault("can only concatenate str (not \"{}\") to str", type_name(right));
  }
  fault("unsupported operand type(s) for {}: '{}' and '{}'", kSymbols[static_cast<int>(op)],
        type_name(left), type_name(right));
}

[[noreturn]] void overflow() {
  too_large("an integer does not fit in 64 bits");
}

int64_t floor_divide(int64_t left, int64_t right) {
  if (right == -1) {
    if (left == std::numeric_limits<int64_t>::min()) {
      overflow();
    }
    return -left;
  }
  const int64_t quotient = left / right;
  return quotient - ((left % right != 0 && (left < 0) != (right < 0)) ? 1 : 0);
}

int64_t modulo(int64_t left, int64_t right) {
  if (right == -1) {
    return 0;
  }
  const int64_t rest = left % right;
  return rest != 0 && (rest < 0) != (right < 0) ? rest + right : rest;
}

int64_t power(int64_t base, int64_t exponent) {
  int64_t result = 1;
  while (true) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) {
      overflow();
    }
    exponent >>= 1;
    if (exponent == 0) {
      return result;
    }
    if (__builtin_mul_overflow(base, base, &base)) {
      overflow();
    }
  }
}

Value integer_binary(BinaryOp op, int64_t left, int64_t right) {
  int64_t result = 0;
  bool over = false;
  switch (op) {
    case BinaryOp::kAdd:
      over = __builtin_add_overflow(left, right, &result);
      break;
    case BinaryOp::kSubtract:
      over = __builtin_sub_overflow(left, right, &result);
      break;
    case BinaryOp::kMultiply:
      over = __builtin_mul_overflow(left, right, &result);
      break;
    case BinaryOp::kDivide:
      return Value(static_cast<double>(left) / static_cast<double>(right));
    case BinaryOp::kFloorDivide:
      return Value(floor_divide(left, right));
    case BinaryOp::kModulo:
      return Value(modulo(left, right));
    case BinaryOp::kPower:
      return right < 0 ? Value(std::pow(static_cast<double>(left), static_cast<double>(right)))
                       : Value(power(left, right));
  }
  if (over) {
    overflow();
  }
  return Value(result);
}

double float_modulo(double left, double right) {
  const double rest = std::fmod(left, right);
  if (rest == 0) {
    return std::copysign(0.0, right);
  }
  return (rest < 0) != (right < 0) ? rest + right : rest;
}

Value float_binary(BinaryOp op, double left, double right) {
  switch (op) {
    case BinaryOp::kAdd:
      return Value(left + right);
    case BinaryOp::kSubtract:
      return Value(left - right);
    case BinaryOp::kMultiply:
      return Value(left * right);
    case BinaryOp::kDivide:
      return Value(left / right);
    case BinaryOp::kFloorDivide:
      return Value(std::floor(left / right));
    case BinaryOp::kModulo:
      return Value(float_modulo(left, right));
    case BinaryOp::kPower:
      break;
  }
  if (left < 0 && right != std::floor(right)) {
    fault("a negative number to a broken power is complex, which templates do not have");
  }
  return Value(std::pow(left, right));
}

Value number_binary(BinaryOp op, const Value& left, const Value& right) {
  const bool divides =
      op == BinaryOp::kDivide || op == BinaryOp::kFloorDivide || op == BinaryOp::kModulo;
  if ((divides && *right.as_number() == 0) ||
      (op == BinaryOp::kPower && *left.as_number() == 0 && *right.as_number() < 0)) {
    fault("division by zero");
  }
  const auto a = left.as_integer();
  const auto b = right.as_integer();
  return a && b ? integer_binary(op, *a, *b)
                : float_binary(op, *left.as_number(), *right.as_number());
}

bool concatenable(const Value& value) {
  return value.is_sequence() &&
         (value.sequence().flavor == Flavor::kList || value.sequence().flavor == Flavor::kTuple);
}

Value join_sequences(Budget& budget, const Sequence& left, const Sequence& right) {
  budget.step(static_cast<int64_t>(left.items.size() + right.items.size()));
  List items = left.items;
  items.insert(items.end(), right.items.begin(), right.items.end());
  return make_sequence(budget, std::move(items), left.flavor);
}

Value repeat(Budget& budget, const Value& value, int64_t times) {
  const auto count = static_cast<size_t>(std::max<int64_t>(times, 0));
  if (value.is_string()) {
    const std::string& text = value.text();
    if (!text.empty() && count > budget.limits().string_bytes / text.size()) {
      too_large("a string of {} bytes cannot be repeated {} times: the limit is {} bytes",
                text.size(), count, budget.limits().string_bytes);
    }
    BoundedString out(budget);
    if (text.size() == 1) {
      out.append(count, text[0]);
    } else if (!text.empty()) {
      budget.step(static_cast<int64_t>(count));
      for (size_t i = 0; i < count; ++i) {
        out.append(text);
      }
    }
    return make_string(budget, out.take());
  }
  const List& once = value.sequence().items;
  if (!once.empty() && count > static_cast<size_t>(kMaxRangeLength) / once.size()) {
    too_large("a list of {} items cannot be repeated {} times: the limit is {} items", once.size(),
              count, kMaxRangeLength);
  }
  List items;
  for (size_t i = 0; i < count && !once.empty(); ++i) {
    items.insert(items.end(), once.begin(), once.end());
  }
  return make_sequence(budget, std::move(items), value.sequence().flavor);
}

bool sequences_equal(Budget& budget, const Sequence& left, const Sequence& right) {
  if (&left == &right) {
    return true;
  }
  if (left.flavor != right.flavor || left.is_generator() ||
      left.items.size() != right.items.size()) {
    return false;
  }
  for (size_t i = 0; i < left.items.size(); ++i) {
    if (!equals(budget, left.items[i], right.items[i])) {
      return false;
    }
  }
  return true;
}

bool dicts_equal(Budget& budget, const Dict& left, const Dict& right) {
  if (left.size() != right.size()) {
    return false;
  }
  for (const auto& [key, value] : left.entries()) {
    const Value* other = right.find(key);
    if (other == nullptr || !equals(budget, value, *other)) {
      return false;
    }
  }
  return true;
}

}  // namespace

Value apply_binary(Runtime& runtime, BinaryOp op, const Value& left, const Value& right) {
  Budget& budget = runtime.budget();
  if (left.is_number() && right.is_number()) {
    return number_binary(op, left, right);
  }
  if (op == BinaryOp::kAdd) {
    if (left.is_string() && right.is_string()) {
      BoundedString out(budget);
      out.append(left.text());
      out.append(right.text());
      return make_string(budget, out.take());
    }
    if (concatenable(left) && concatenable(right) &&
        left.sequence().flavor == right.sequence().flavor) {
      return join_sequences(budget, left.sequence(), right.sequence());
    }
  }
  if (op == BinaryOp::kMultiply) {
    const auto times = right.as_integer() ? right.as_integer() : left.as_integer();
    const Value& repeated = right.as_integer() ? left : right;
    if (times && (repeated.is_string() || concatenable(repeated))) {
      return repeat(budget, repeated, *times);
    }
  }
  if (op == BinaryOp::kModulo && left.is_string()) {
    require_defined(right);
    const bool tuple = right.is_sequence() && right.sequence().flavor == Flavor::kTuple;
    return format_percent(budget, left.text(), tuple ? right.sequence().items : List{right});
  }
  unsupported(op, left, right);
}

Value apply_sign(UnaryOp op, const Value& value) {
  require_defined(value);
  const auto integer = value.as_integer();
  if (!integer && !value.is_float()) {
    fault("bad operand type for unary {}: '{}'", op == UnaryOp::kMinus ? "-" : "+",
          type_name(value));
  }
  if (op == UnaryOp::kPlus) {
    return integer ? Value(*integer) : value;
  }
  if (!integer) {
    return Value(-value.number());
  }
  if (*integer == std::numeric_limits<int64_t>::min()) {
    overflow();
  }
  return Value(-*integer);
}

bool equals(Budget& budget, const Value& left, const Value& right) {
  budget.step();
  if (left.is_number() && right.is_number()) {
    const auto a = left.as_integer();
    const auto b = right.as_integer();
    return a && b ? *a == *b : *left.as_number() == *right.as_number();
  }
  if (left.is_string() && right.is_string()) {
    budget.scan(std::min(left.text().size(), right.text().size()));
    return left.text() == right.text();
  }
  if (left.is_sequence() && right.is_sequence()) {
    return sequences_equal(budget, left.sequence(), right.sequence());
  }
  if (left.is_dict() && right.is_dict()) {
    return dicts_equal(budget, left.dict(), right.dict());
  }
  if (left.is_object() && right.is_object()) {
    return &left.object() == &right.object();
  }
  return (left.is_none() && right.is_none()) || (left.is_undefined() && right.is_undefined());
}

bool less_than(Budget& budget, const Value& left, const Value& right) {
  budget.step();
  require_defined(left);
  require_defined(right);
  if (left.is_number() && right.is_number()) {
    const auto a = left.as_integer();
    const auto b = right.as_integer();
    return a && b ? *a < *b : *left.as_number() < *right.as_number();
  }
  if (left.is_string() && right.is_string()) {
    budget.scan(std::min(left.text().size(), right.text().size()));
    return left.text() < right.text();  // UTF-8 sorts as its code points do
  }
  if (concatenable(left) && concatenable(right) &&
      left.sequence().flavor == right.sequence().flavor) {
    const List& a = left.sequence().items;
    const List& b = right.sequence().items;
    for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
      if (!equals(budget, a[i], b[i])) {
        return less_than(budget, a[i], b[i]);
      }
    }
    return a.size() < b.size();
  }
  fault("'<' not supported between instances of '{}' and '{}'", type_name(left), type_name(right));
}

bool contains(Budget& budget, const Value& container, const Value& item) {
  if (container.is_string()) {
    if (!item.is_string()) {
      require_defined(item);
      fault("'in <string>' requires a string on its left, not '{}'", type_name(item));
    }
    budget.scan(container.text().size());
    return find_bytes(container.text(), item.text()) != std::string_view::npos;
  }
  if (container.is_dict()) {
    return container.dict().find(item) != nullptr;
  }
  if (container.is_sequence()) {
    const Sequence& sequence = container.sequence();
    return std::any_of(sequence.items.begin() + static_cast<std::ptrdiff_t>(sequence.next),
                       sequence.items.end(),
                       [&](const Value& other) { return equals(budget, other, item); });
  }
  if (container.is_undefined()) {
    return false;
  }
  fault("argument of type '{}' is not iterable", type_name(container));
}

}  // namespace mm::jinja
