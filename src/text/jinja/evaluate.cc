// The expression half of the evaluator.
#include "text/jinja/builtins.h"
#include "text/jinja/evaluator.h"
#include "text/jinja/evaluator_guards.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace mm::jinja {

Value Evaluator::evaluate(const Expr& expr) {
  const Nesting nesting(*this);
  budget().step();
  return std::visit([&](const auto& node) { return evaluate(expr, node); }, expr.node);
}

Value Evaluator::evaluate(const Expr&, const Constant& node) {
  return node.value;
}

Value Evaluator::evaluate(const Expr&, const Name& node) {
  const Value* value = lookup(node.name);
  return value != nullptr ? *value : make_undefined(fmt::format("'{}' is undefined", node.name));
}

Value Evaluator::evaluate(const Expr& expr, const SequenceLiteral& node) {
  List items;
  for (const ExprPtr& item : node.items) {
    items.push_back(evaluate(*item));
  }
  blame(expr);
  return make_sequence(budget(), std::move(items), node.tuple ? Flavor::kTuple : Flavor::kList);
}

Value Evaluator::evaluate(const Expr& expr, const DictLiteral& node) {
  Dict dict;
  for (const auto& [key, value] : node.entries) {
    const Value key_value = evaluate(*key);
    Value member = evaluate(*value);
    blame(expr);
    dict.set(key_value, std::move(member));
  }
  return make_dict(budget(), std::move(dict));
}

Value Evaluator::evaluate(const Expr& expr, const GetAttribute& node) {
  const Value object = evaluate(*node.object);
  blame(expr);
  return attribute_of(*this, object, node.name);
}

Value Evaluator::evaluate(const Expr& expr, const GetItem& node) {
  const Value object = evaluate(*node.object);
  const Value index = evaluate(*node.index);
  blame(expr);
  return item_of(*this, object, index);
}

Value Evaluator::evaluate(const Expr& expr, const GetSlice& node) {
  const Value object = evaluate(*node.object);
  const ExprPtr* parts[] = {&node.start, &node.stop, &node.step};
  Value values[3];
  const Value* given[3] = {};
  for (size_t i = 0; i < 3; ++i) {
    if (*parts[i]) {
      values[i] = evaluate(**parts[i]);
      given[i] = &values[i];
    }
  }
  blame(expr);
  return slice_of(*this, object, given[0], given[1], given[2]);
}

Arguments Evaluator::evaluate_arguments(const CallArguments& arguments) {
  Arguments result;
  for (const ExprPtr& argument : arguments.positional) {
    result.positional.push_back(evaluate(*argument));
  }
  for (const auto& [name, argument] : arguments.named) {
    result.named.emplace_back(name, evaluate(*argument));
  }
  if (arguments.star) {
    const List items = iterate(budget(), evaluate(*arguments.star));
    result.positional.insert(result.positional.end(), items.begin(), items.end());
  }
  if (arguments.double_star) {
    const Value extra = evaluate(*arguments.double_star);
    if (!extra.is_dict()) {
      require_defined(extra);
      fault("'**' needs a dict, not '{}'", type_name(extra));
    }
    for (const auto& [key, value] : extra.dict().entries()) {
      if (!key.is_string()) {
        fault("'**' needs a dict whose keys are strings");
      }
      result.named.emplace_back(key.text(), value);
    }
  }
  if (result.positional.size() + result.named.size() > kMaxArguments) {
    too_large("a call has more than {} arguments", kMaxArguments);
  }
  return result;
}

Value Evaluator::call(const Expr& expr, const Value& callee, const Arguments& arguments) {
  blame(expr);
  require_defined(callee);
  if (!callee.is_object() || !callee.object().callable()) {
    fault("'{}' object is not callable", type_name(callee));
  }
  // Held here, because the callee may drop the last other reference to itself.
  const Value kept = callee;  // NOLINT(performance-unnecessary-copy-initialization)
  return kept.object().call(*this, arguments);
}

Value Evaluator::evaluate(const Expr& expr, const Call& node) {
  const Value callee = evaluate(*node.callee);
  const Arguments arguments = evaluate_arguments(node.arguments);
  return call(expr, callee, arguments);
}

Value Evaluator::evaluate(const Expr& expr, const ApplyFilter& node) {
  const Value input = node.input ? evaluate(*node.input) : *filter_input_;
  const Arguments arguments = evaluate_arguments(node.arguments);
  blame(expr);
  return apply_filter(*this, node.name, input, arguments);
}

Value Evaluator::evaluate(const Expr& expr, const ApplyTest& node) {
  const Value input = evaluate(*node.input);
  const Arguments arguments = evaluate_arguments(node.arguments);
  blame(expr);
  return Value(apply_test(*this, node.name, input, arguments));
}

Value Evaluator::evaluate(const Expr& expr, const Unary& node) {
  const Value operand = evaluate(*node.operand);
  if (node.op == UnaryOp::kNot) {
    return Value(!truthy(operand));
  }
  blame(expr);
  return apply_sign(node.op, operand);
}

Value Evaluator::evaluate(const Expr& expr, const Binary& node) {
  const Value left = evaluate(*node.left);
  const Value right = evaluate(*node.right);
  blame(expr);
  return apply_binary(*this, node.op, left, right);
}

Value Evaluator::evaluate(const Expr&, const Logical& node) {
  Value left = evaluate(*node.left);
  return truthy(left) == node.is_and ? evaluate(*node.right) : left;
}

Value Evaluator::evaluate(const Expr& expr, const Concat& node) {
  BoundedString out(budget());
  for (const ExprPtr& part : node.parts) {
    const Value value = evaluate(*part);
    blame(expr);
    append_text(out, value);
  }
  return make_string(budget(), out.take());
}

bool Evaluator::compare(CompareOp op, const Value& left, const Value& right) {
  switch (op) {
    case CompareOp::kEqual:
      return equals(budget(), left, right);
    case CompareOp::kNotEqual:
      return !equals(budget(), left, right);
    case CompareOp::kLess:
      return less_than(budget(), left, right);
    case CompareOp::kLessEqual:
      return less_than(budget(), left, right) || equals(budget(), left, right);
    case CompareOp::kGreater:
      return less_than(budget(), right, left);
    case CompareOp::kGreaterEqual:
      return less_than(budget(), right, left) || equals(budget(), left, right);
    case CompareOp::kIn:
      return contains(budget(), right, left);
    case CompareOp::kNotIn:
      return !contains(budget(), right, left);
  }
  return false;
}

Value Evaluator::evaluate(const Expr& expr, const Comparison& node) {
  Value left = evaluate(*node.first);
  for (const auto& [op, operand] : node.rest) {
    Value right = evaluate(*operand);
    blame(expr);
    if (!compare(op, left, right)) {
      return Value(false);
    }
    left = std::move(right);
  }
  return Value(true);
}

Value Evaluator::evaluate(const Expr&, const Conditional& node) {
  if (truthy(evaluate(*node.condition))) {
    return evaluate(*node.then);
  }
  if (node.otherwise) {
    return evaluate(*node.otherwise);
  }
  return make_undefined("an inline 'if' was false and has no 'else'");
}

}  // namespace mm::jinja
