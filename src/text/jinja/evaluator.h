/// Walks a syntax tree with variables in scopes. One Evaluator serves one rendering.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/jinja/ast.h"
#include "text/jinja/runtime.h"
#include "text/jinja/value.h"

namespace mm::jinja {

/// Variables of one block; names not found here are looked up in `parent`.
struct Scope {
  NameMap values;
  std::shared_ptr<Scope> parent;
};

/// Where execution goes on after a statement.
enum class Flow { kNext, kBreak, kContinue };

class Evaluator : public Runtime {
 public:
  Evaluator(const Limits& limits, std::optional<std::tm> now);

  /// Sets a variable of the outermost scope.
  void set_global(std::string_view name, Value value);
  /// Renders statements from the outermost scope.
  std::string run(const Body& body);
  /// Calls a macro that was defined in `scope`.
  Value call_macro(const MacroCode& code, const std::shared_ptr<Scope>& scope,
                   const Arguments& arguments);
  /// Where the last error came from: the statement and the expression (may be null).
  const Place& place() const { return place_; }
  const Expr* culprit() const { return culprit_; }

 private:
  class Nesting;
  class ScopeGuard;
  class Capture;

  Flow execute(const Body& body);
  Flow execute(const Data& node);
  Flow execute(const Print& node);
  Flow execute(const Set& node);
  Flow execute(const SetBlock& node);
  Flow execute(const For& node);
  Flow execute(const If& node);
  Flow execute(const Macro& node);
  Flow execute(const CallBlock& node);
  Flow execute(const FilterBlock& node);
  Flow execute(const With& node);
  Flow execute(const Break&) { return Flow::kBreak; }
  Flow execute(const Continue&) { return Flow::kContinue; }

  Value evaluate(const Expr& expr);
  Value evaluate(const Expr& expr, const Constant& node);
  Value evaluate(const Expr& expr, const Name& node);
  Value evaluate(const Expr& expr, const SequenceLiteral& node);
  Value evaluate(const Expr& expr, const DictLiteral& node);
  Value evaluate(const Expr& expr, const GetAttribute& node);
  Value evaluate(const Expr& expr, const GetItem& node);
  Value evaluate(const Expr& expr, const GetSlice& node);
  Value evaluate(const Expr& expr, const Call& node);
  Value evaluate(const Expr& expr, const ApplyFilter& node);
  Value evaluate(const Expr& expr, const ApplyTest& node);
  Value evaluate(const Expr& expr, const Unary& node);
  Value evaluate(const Expr& expr, const Binary& node);
  Value evaluate(const Expr& expr, const Logical& node);
  Value evaluate(const Expr& expr, const Concat& node);
  Value evaluate(const Expr& expr, const Comparison& node);
  Value evaluate(const Expr& expr, const Conditional& node);

  bool compare(CompareOp op, const Value& left, const Value& right);
  Arguments evaluate_arguments(const CallArguments& arguments);
  Value call(const Expr& expr, const Value& callee, const Arguments& arguments);
  /// Marks `expr` as the place of errors from here on.
  void blame(const Expr& expr) { culprit_ = &expr; }

  List loop_items(const For& node);
  Value macro_value(const MacroCode& code);
  void bind_parameters(const MacroCode& code, const Arguments& arguments);
  void bind_extra(const MacroCode& code, const Arguments& arguments);
  void assign(const Target& target, const Value& value);
  void define(std::string_view name, Value value);
  const Value* lookup(std::string_view name) const;
  /// Runs `body` in a scope of its own and gives what it printed.
  Value capture(const Body& body);

  std::shared_ptr<Scope> scope_;
  BoundedString* out_ = nullptr;
  const Value* filter_input_ = nullptr;  ///< of filter blocks and block sets
  Place place_;
  const Expr* culprit_ = nullptr;
  int depth_ = 0;
};

}  // namespace mm::jinja
