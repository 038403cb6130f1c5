#include "text/jinja/evaluator.h"

#include <algorithm>

#include "text/jinja/builtins.h"
#include "text/jinja/evaluator_guards.h"
#include "text/jinja/loop.h"
#include "text/jinja/operators.h"
#include "text/jinja/print.h"

namespace mm::jinja {
namespace {

constexpr size_t kScopeBytes = 128;

// A macro as a value. Keeps the scope it was defined in; adopted by the evaluator, so that a
// scope which holds its own macro is no leak.
class MacroObject : public Object {
 public:
  MacroObject(Evaluator& evaluator, const MacroCode& code, std::shared_ptr<Scope> scope)
      : evaluator_(evaluator), code_(code), scope_(std::move(scope)) {}

  const char* type_name() const override { return "Macro"; }
  std::string text() const override { return fmt::format("<Macro '{}'>", code_.name); }
  bool callable() const override { return true; }
  Value call(Runtime&, const Arguments& arguments) override {
    return evaluator_.call_macro(code_, scope_, arguments);
  }
  std::optional<Value> attribute(Runtime& runtime, std::string_view name) override {
    return name == "name" ? std::optional(make_string(runtime.budget(), code_.name)) : std::nullopt;
  }

 private:
  Evaluator& evaluator_;
  const MacroCode& code_;
  std::shared_ptr<Scope> scope_;
};

}  // namespace

Evaluator::Evaluator(const Limits& limits, std::optional<std::tm> now)
    : Runtime(limits, now), scope_(std::make_shared<Scope>()) {
  scope_->values = global_functions();
}

void Evaluator::set_global(std::string_view name, Value value) {
  define(name, std::move(value));
}

std::string Evaluator::run(const Body& body) {
  BoundedString out(budget(), budget().limits().output_bytes);
  out_ = &out;
  // A scope of its own, so that `set` hides variables of the host without losing them.
  const ScopeGuard guard(*this, scope_);
  execute(body);
  return out.take();
}

const Value* Evaluator::lookup(std::string_view name) const {
  for (const Scope* scope = scope_.get(); scope != nullptr; scope = scope->parent.get()) {
    const auto found = scope->values.find(name);
    if (found != scope->values.end()) {
      return &found->second;
    }
  }
  return nullptr;
}

void Evaluator::define(std::string_view name, Value value) {
  const auto found = scope_->values.find(name);
  if (found != scope_->values.end()) {
    found->second = std::move(value);
    return;
  }
  budget().build(kScopeBytes);
  scope_->values.emplace(name, std::move(value));
}

void Evaluator::assign(const Target& target, const Value& value) {
  if (!target.attribute.empty()) {
    const Value* owner = lookup(target.names[0]);
    auto* space = owner != nullptr && owner->is_object()
                      ? dynamic_cast<Namespace*>(&owner->object())
                      : nullptr;
    if (space == nullptr) {
      fault("cannot set '{}.{}': '{}' is not a namespace", target.names[0], target.attribute,
            target.names[0]);
    }
    budget().build(kScopeBytes);
    space->set(target.attribute, value);
    return;
  }
  if (!target.unpack) {
    define(target.names[0], value);
    return;
  }
  const List items = iterate(budget(), value);
  if (items.size() != target.names.size()) {
    fault("cannot unpack {} values into {} names", items.size(), target.names.size());
  }
  for (size_t i = 0; i < items.size(); ++i) {
    define(target.names[i], items[i]);
  }
}

Value Evaluator::capture(const Body& body) {
  const ScopeGuard scope(*this, scope_);
  BoundedString out(budget());
  const Capture capture(*this, out);
  execute(body);
  return make_string(budget(), out.take());
}

Flow Evaluator::execute(const Body& body) {
  const Nesting nesting(*this);
  for (const auto& statement : body) {
    budget().step();
    place_ = statement->place;
    culprit_ = nullptr;
    const Flow flow =
        std::visit([this](const auto& node) { return execute(node); }, statement->node);
    if (flow != Flow::kNext) {
      return flow;
    }
  }
  return Flow::kNext;
}

Flow Evaluator::execute(const Data& node) {
  out_->append(node.text);
  return Flow::kNext;
}

Flow Evaluator::execute(const Print& node) {
  const Value value = evaluate(*node.value);
  blame(*node.value);
  append_text(*out_, value);
  return Flow::kNext;
}

Flow Evaluator::execute(const Set& node) {
  const Value value = evaluate(*node.value);
  blame(*node.value);
  assign(node.target, value);
  return Flow::kNext;
}

Flow Evaluator::execute(const SetBlock& node) {
  Value text = capture(node.body);
  if (node.filters) {
    const FilterInput input(filter_input_, text);
    text = evaluate(*node.filters);
  }
  assign(node.target, text);
  return Flow::kNext;
}

List Evaluator::loop_items(const For& node) {
  const Value source = evaluate(*node.items);
  blame(*node.items);
  List items = iterate(budget(), source);
  if (!node.condition) {
    return items;
  }
  List kept;
  for (const Value& item : items) {
    const ScopeGuard guard(*this, scope_);
    assign(node.target, item);
    if (truthy(evaluate(*node.condition))) {
      kept.push_back(item);
    }
  }
  return kept;
}

Flow Evaluator::execute(const For& node) {
  const Value items = make_sequence(budget(), loop_items(node));
  if (items.sequence().items.empty()) {
    const ScopeGuard guard(*this, scope_);
    return execute(node.otherwise);
  }
  const auto loop = std::make_shared<Loop>(items);
  check_depth(loop->depth());
  for (const Value& item : items.sequence().items) {
    budget().step();
    const ScopeGuard guard(*this, scope_);
    define("loop", Value(ObjectRef(loop)));
    assign(node.target, item);
    if (execute(node.body) == Flow::kBreak) {
      break;
    }
    loop->advance();
  }
  return Flow::kNext;
}

Flow Evaluator::execute(const If& node) {
  for (const auto& [condition, body] : node.branches) {
    if (truthy(evaluate(*condition))) {
      return execute(body);
    }
  }
  return execute(node.otherwise);
}

Value Evaluator::macro_value(const MacroCode& code) {
  return Value(adopt(std::make_unique<MacroObject>(*this, code, scope_)));
}

Flow Evaluator::execute(const Macro& node) {
  define(node.code.name, macro_value(node.code));
  return Flow::kNext;
}

Flow Evaluator::execute(const CallBlock& node) {
  const Call& call_node = std::get<Call>(node.call->node);
  const Value callee = evaluate(*call_node.callee);
  Arguments arguments = evaluate_arguments(call_node.arguments);
  arguments.named.emplace_back("caller", macro_value(node.caller));
  append_text(*out_, call(*node.call, callee, arguments));
  return Flow::kNext;
}

Flow Evaluator::execute(const FilterBlock& node) {
  const Value text = capture(node.body);
  const FilterInput input(filter_input_, text);
  append_text(*out_, evaluate(*node.filters));
  return Flow::kNext;
}

Flow Evaluator::execute(const With& node) {
  List values;  // all of them see the outer scope only
  for (const auto& [target, value] : node.bindings) {
    values.push_back(evaluate(*value));
  }
  const ScopeGuard guard(*this, scope_);
  for (size_t i = 0; i < values.size(); ++i) {
    assign(node.bindings[i].first, values[i]);
  }
  return execute(node.body);
}

Value Evaluator::call_macro(const MacroCode& code, const std::shared_ptr<Scope>& scope,
                            const Arguments& arguments) {
  const Nesting nesting(*this);
  const ScopeGuard guard(*this, scope);
  bind_parameters(code, arguments);
  bind_extra(code, arguments);
  BoundedString out(budget());
  const Capture capture(*this, out);
  execute(code.body);
  return make_string(budget(), out.take());
}

// Positional arguments, then named ones, then defaults; what is left is undefined.
void Evaluator::bind_parameters(const MacroCode& code, const Arguments& arguments) {
  const size_t first_default = code.parameters.size() - code.defaults.size();
  for (size_t i = 0; i < code.parameters.size(); ++i) {
    const std::string& name = code.parameters[i];
    const auto named = std::find_if(arguments.named.begin(), arguments.named.end(),
                                    [&](const auto& argument) { return argument.first == name; });
    if (i < arguments.positional.size()) {
      if (named != arguments.named.end()) {
        fault("macro '{}' got the argument '{}' twice", code.name, name);
      }
      define(name, arguments.positional[i]);
    } else if (named != arguments.named.end()) {
      define(name, named->second);
    } else if (i >= first_default) {
      define(name, evaluate(*code.defaults[i - first_default]));
    } else {
      define(name, make_undefined(fmt::format("parameter '{}' was not provided", name)));
    }
  }
}

// Arguments without a parameter: varargs, kwargs and caller, if the macro uses them.
void Evaluator::bind_extra(const MacroCode& code, const Arguments& arguments) {
  const size_t count = code.parameters.size();
  if (code.uses_varargs) {
    const auto begin = arguments.positional.begin() +
                       static_cast<std::ptrdiff_t>(std::min(count, arguments.positional.size()));
    define("varargs",
           make_sequence(budget(), List(begin, arguments.positional.end()), Flavor::kTuple));
  } else if (arguments.positional.size() > count) {
    fault("macro '{}' takes at most {} argument(s), {} given", code.name, count,
          arguments.positional.size());
  }
  Dict extra;
  for (const auto& [name, value] : arguments.named) {
    const auto& known = code.parameters;
    if (std::find(known.begin(), known.end(), name) != known.end()) {
      continue;
    }
    if (name == "caller" && code.uses_caller) {
      define("caller", value);
    } else if (code.uses_kwargs) {
      extra.set(make_text(name), value);
    } else {
      fault("macro '{}' takes no argument named '{}'", code.name, name);
    }
  }
  if (code.uses_kwargs) {
    define("kwargs", make_dict(budget(), std::move(extra)));
  }
}

}  // namespace mm::jinja
