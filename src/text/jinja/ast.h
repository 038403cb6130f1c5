/// The syntax tree of a template. Nodes are plain structs; the evaluator walks them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "text/jinja/lexer.h"
#include "text/jinja/value.h"

namespace mm::jinja {

struct Expr;
struct Statement;
using ExprPtr = std::unique_ptr<Expr>;
using Body = std::vector<std::unique_ptr<Statement>>;

struct Constant {
  Value value;
};
struct Name {
  std::string name;
};
struct SequenceLiteral {
  std::vector<ExprPtr> items;
  bool tuple;
};
struct DictLiteral {
  std::vector<std::pair<ExprPtr, ExprPtr>> entries;
};
/// object.name
struct GetAttribute {
  ExprPtr object;
  std::string name;
};
/// object[index]
struct GetItem {
  ExprPtr object;
  ExprPtr index;
};
/// object[start:stop:step]; absent parts are null.
struct GetSlice {
  ExprPtr object;
  ExprPtr start;
  ExprPtr stop;
  ExprPtr step;
};
/// What stands between the parentheses of a call.
struct CallArguments {
  std::vector<ExprPtr> positional;
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star;         ///< *list
  ExprPtr double_star;  ///< **dict
};
struct Call {
  ExprPtr callee;
  CallArguments arguments;
};
/// input | name(arguments); the input is null in `filter` blocks and block sets.
struct ApplyFilter {
  ExprPtr input;
  std::string name;
  CallArguments arguments;
};
/// input is name(arguments)
struct ApplyTest {
  ExprPtr input;
  std::string name;
  CallArguments arguments;
};
enum class UnaryOp { kNot, kMinus, kPlus };
struct Unary {
  UnaryOp op;
  ExprPtr operand;
};
enum class BinaryOp { kAdd, kSubtract, kMultiply, kDivide, kFloorDivide, kModulo, kPower };
struct Binary {
  BinaryOp op;
  ExprPtr left;
  ExprPtr right;
};
/// a and b, a or b: gives one of its operands.
struct Logical {
  bool is_and;
  ExprPtr left;
  ExprPtr right;
};
/// a ~ b ~ c
struct Concat {
  std::vector<ExprPtr> parts;
};
enum class CompareOp { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual, kIn, kNotIn };
/// a < b == c: every neighbouring pair must hold.
struct Comparison {
  ExprPtr first;
  std::vector<std::pair<CompareOp, ExprPtr>> rest;
};
/// then if condition else otherwise; without else the value is undefined.
struct Conditional {
  ExprPtr then;
  ExprPtr condition;
  ExprPtr otherwise;
};

struct Expr {
  using Node = std::variant<Constant, Name, SequenceLiteral, DictLiteral, GetAttribute, GetItem,
                            GetSlice, Call, ApplyFilter, ApplyTest, Unary, Binary, Logical, Concat,
                            Comparison, Conditional>;
  Place place;
  int height = 1;  ///< levels of nodes below and including this one
  Node node;
};

/// What is assigned to: one name, one attribute of a namespace, or names to unpack into.
struct Target {
  std::vector<std::string> names;
  std::string attribute;  ///< names[0].attribute when not empty
  bool unpack = false;
};

/// Literal text.
struct Data {
  std::string text;
};
/// {{ value }}
struct Print {
  ExprPtr value;
};
/// {% set target = value %}
struct Set {
  Target target;
  ExprPtr value;
};
/// {% set target | filters %} body {% endset %}
struct SetBlock {
  Target target;
  ExprPtr filters;  ///< chain of ApplyFilter whose innermost input is null; null when there is none
  Body body;
};
struct For {
  Target target;
  ExprPtr items;
  ExprPtr condition;  ///< keeps the items for which it holds; may be null
  Body body;
  Body otherwise;
};
struct If {
  std::vector<std::pair<ExprPtr, Body>> branches;
  Body otherwise;
};
/// A macro's parameters and body; also what a `call` block passes as `caller`.
struct MacroCode {
  std::string name;
  std::vector<std::string> parameters;
  std::vector<ExprPtr> defaults;  ///< of the last parameters
  bool uses_varargs = false;
  bool uses_kwargs = false;
  bool uses_caller = false;
  Body body;
};
struct Macro {
  MacroCode code;
};
/// {% call(parameters) callee(arguments) %} body {% endcall %}
struct CallBlock {
  MacroCode caller;
  ExprPtr call;  ///< a Call node
};
/// {% filter name %} body {% endfilter %}
struct FilterBlock {
  ExprPtr filters;
  Body body;
};
/// {% with names = values %}, and `generation` blocks (without names): a scope of its own.
struct With {
  std::vector<std::pair<Target, ExprPtr>> bindings;
  Body body;
};
struct Break {};
struct Continue {};

struct Statement {
  using Node = std::variant<Data, Print, Set, SetBlock, For, If, Macro, CallBlock, FilterBlock,
                            With, Break, Continue>;
  Place place;
  Node node;
};

/// A parsed template and the text it came from.
struct Template {
  std::string source;  ///< normalised; places point into it
  Body body;
};

}  // namespace mm::jinja
