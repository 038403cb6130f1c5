/// What operators, indexing and attribute access do, after Python.
#pragma once

#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace mm::jinja {

/// left op right. Throws kBadInput for types that do not go together and for division by zero,
/// kTooLarge for integers over 64 bits.
Value apply_binary(Runtime& runtime, BinaryOp op, const Value& left, const Value& right);
/// +value, -value.
Value apply_sign(UnaryOp op, const Value& value);

/// left == right; undefined equals undefined only.
bool equals(Budget& budget, const Value& left, const Value& right);
/// left < right. Throws kBadInput for types without an order between them.
bool less_than(Budget& budget, const Value& left, const Value& right);
/// item in container.
bool contains(Budget& budget, const Value& container, const Value& item);

/// object.name: methods first, then keys.
Value attribute_of(Runtime& runtime, const Value& object, std::string_view name);
/// object[index]: keys first, then methods. What is not there is undefined.
Value item_of(Runtime& runtime, const Value& object, const Value& index);
/// object[start:stop:step]; null or none stands for an absent part.
Value slice_of(Runtime& runtime, const Value& object, const Value* start, const Value* stop,
               const Value* step);
/// A path such as "function.name" or "0.text", as `map(attribute=…)` takes it.
Value path_of(Runtime& runtime, const Value& object, const Value& path);

}  // namespace mm::jinja
