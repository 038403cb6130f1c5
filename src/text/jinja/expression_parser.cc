#include "text/jinja/expression_parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace mm::jinja {

ExpressionParser::Nesting::Nesting(ExpressionParser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMaxSyntaxDepth) {
    --parser_.depth_;  // no destructor will run
    parser_.fail(fmt::format("nested more than {} levels deep", kMaxSyntaxDepth));
  }
}

int ExpressionParser::height_of(const ExprPtr& expr) {
  return expr ? expr->height : 0;
}

int ExpressionParser::height_of(const std::vector<ExprPtr>& exprs) {
  int height = 0;
  for (const ExprPtr& expr : exprs) {
    height = std::max(height, height_of(expr));
  }
  return height;
}

int ExpressionParser::height_of(const CallArguments& arguments) {
  int height = std::max({height_of(arguments.positional), height_of(arguments.star),
                         height_of(arguments.double_star)});
  for (const auto& [name, value] : arguments.named) {
    height = std::max(height, height_of(value));
  }
  return height;
}

ExprPtr ExpressionParser::make(const Place& start, Expr::Node node, int child_height) {
  if (child_height >= kMaxSyntaxDepth) {
    fail(fmt::format("an expression of more than {} steps in a row; split it with `set`",
                     kMaxSyntaxDepth));
  }
  return std::make_unique<Expr>(
      Expr{Place{start.line, start.begin, previous_end()}, child_height + 1, std::move(node)});
}

ExprPtr ExpressionParser::make_binary(const Place& start, BinaryOp op, ExprPtr left,
                                      ExprPtr right) {
  const int height = std::max(left->height, right->height);
  return make(start, Binary{op, std::move(left), std::move(right)}, height);
}

ExprPtr ExpressionParser::parse_expression(bool conditional) {
  const Nesting nesting(*this);
  const Place start = current().place;
  ExprPtr expr = parse_or();
  while (conditional && accept_name("if")) {
    ExprPtr condition = parse_or();
    ExprPtr otherwise = accept_name("else") ? parse_expression() : nullptr;
    const int height = std::max({height_of(expr), height_of(condition), height_of(otherwise)});
    expr = make(start, Conditional{std::move(expr), std::move(condition), std::move(otherwise)},
                height);
  }
  return expr;
}

ExprPtr ExpressionParser::parse_expression_list(bool conditional) {
  const Place start = current().place;
  ExprPtr first = parse_expression(conditional);
  if (!at_operator(",")) {
    return first;
  }
  SequenceLiteral tuple{{}, true};
  tuple.items.push_back(std::move(first));
  while (accept_operator(",")) {
    if (at(TokenKind::kBlockEnd) || at(TokenKind::kVariableEnd) || at_operator(")")) {
      break;
    }
    tuple.items.push_back(parse_expression(conditional));
  }
  const int height = height_of(tuple.items);
  return make(start, std::move(tuple), height);
}

ExprPtr ExpressionParser::parse_or() {
  const Place start = current().place;
  ExprPtr left = parse_and();
  while (accept_name("or")) {
    ExprPtr right = parse_and();
    const int height = std::max(left->height, right->height);
    left = make(start, Logical{false, std::move(left), std::move(right)}, height);
  }
  return left;
}

ExprPtr ExpressionParser::parse_and() {
  const Place start = current().place;
  ExprPtr left = parse_not();
  while (accept_name("and")) {
    ExprPtr right = parse_not();
    const int height = std::max(left->height, right->height);
    left = make(start, Logical{true, std::move(left), std::move(right)}, height);
  }
  return left;
}

ExprPtr ExpressionParser::parse_not() {
  const Place start = current().place;
  if (!accept_name("not")) {
    return parse_comparison();
  }
  const Nesting nesting(*this);
  ExprPtr operand = parse_not();
  const int height = operand->height;
  return make(start, Unary{UnaryOp::kNot, std::move(operand)}, height);
}

bool ExpressionParser::accept_compare(CompareOp& op) {
  constexpr std::array<std::pair<std::string_view, CompareOp>, 6> kSymbols = {{
      {"==", CompareOp::kEqual},
      {"!=", CompareOp::kNotEqual},
      {"<", CompareOp::kLess},
      {"<=", CompareOp::kLessEqual},
      {">", CompareOp::kGreater},
      {">=", CompareOp::kGreaterEqual},
  }};
  for (const auto& [symbol, meaning] : kSymbols) {
    if (accept_operator(symbol)) {
      op = meaning;
      return true;
    }
  }
  if (accept_name("in")) {
    op = CompareOp::kIn;
    return true;
  }
  if (at_name("not") && peek().kind == TokenKind::kName && peek().text == "in") {
    take();
    take();
    op = CompareOp::kNotIn;
    return true;
  }
  return false;
}

ExprPtr ExpressionParser::parse_comparison() {
  const Place start = current().place;
  ExprPtr first = parse_sum();
  Comparison comparison;
  int height = first->height;
  CompareOp op = CompareOp::kEqual;
  while (accept_compare(op)) {
    comparison.rest.emplace_back(op, parse_sum());
    height = std::max(height, comparison.rest.back().second->height);
  }
  if (comparison.rest.empty()) {
    return first;
  }
  comparison.first = std::move(first);
  return make(start, std::move(comparison), height);
}

ExprPtr ExpressionParser::parse_sum() {
  const Place start = current().place;
  ExprPtr left = parse_concat();
  while (at_operator("+") || at_operator("-")) {
    const BinaryOp op = take().text == "+" ? BinaryOp::kAdd : BinaryOp::kSubtract;
    ExprPtr right = parse_concat();
    left = make_binary(start, op, std::move(left), std::move(right));
  }
  return left;
}

ExprPtr ExpressionParser::parse_concat() {
  const Place start = current().place;
  ExprPtr first = parse_product();
  if (!at_operator("~")) {
    return first;
  }
  Concat concat;
  concat.parts.push_back(std::move(first));
  while (accept_operator("~")) {
    concat.parts.push_back(parse_product());
  }
  const int height = height_of(concat.parts);
  return make(start, std::move(concat), height);
}

ExprPtr ExpressionParser::parse_product() {
  const Place start = current().place;
  ExprPtr left = parse_power();
  while (at_operator("*") || at_operator("/") || at_operator("//") || at_operator("%")) {
    const std::string& text = take().text;
    const BinaryOp op = text == "*"    ? BinaryOp::kMultiply
                        : text == "/"  ? BinaryOp::kDivide
                        : text == "//" ? BinaryOp::kFloorDivide
                                       : BinaryOp::kModulo;
    ExprPtr right = parse_power();
    left = make_binary(start, op, std::move(left), std::move(right));
  }
  return left;
}

ExprPtr ExpressionParser::parse_power() {
  const Place start = current().place;
  ExprPtr left = parse_unary(true);
  while (accept_operator("**")) {
    ExprPtr right = parse_unary(true);
    left = make_binary(start, BinaryOp::kPower, std::move(left), std::move(right));
  }
  return left;
}

ExprPtr ExpressionParser::parse_unary(bool with_filters) {
  const Place start = current().place;
  ExprPtr expr;
  if (at_operator("-") || at_operator("+")) {
    const Nesting nesting(*this);
    const UnaryOp op = take().text == "-" ? UnaryOp::kMinus : UnaryOp::kPlus;
    ExprPtr operand = parse_unary(false);
    const int height = operand->height;
    expr = make(start, Unary{op, std::move(operand)}, height);
  } else {
    expr = parse_primary();
  }
  expr = parse_postfix(std::move(expr));
  return with_filters ? parse_suffixes(std::move(expr)) : std::move(expr);
}

ExprPtr ExpressionParser::parse_primary() {
  const Place start = current().place;
  if (at_operator("(")) {
    return parse_parenthesis();
  }
  if (at_operator("[")) {
    return parse_list();
  }
  if (at_operator("{")) {
    return parse_dict();
  }
  if (at(TokenKind::kInteger)) {
    return make(start, Constant{Value(take().integer)});
  }
  if (at(TokenKind::kFloat)) {
    return make(start, Constant{Value(take().number)});
  }
  if (at(TokenKind::kString)) {
    std::string text = take().text;
    while (at(TokenKind::kString)) {
      text += take().text;  // adjacent literals are one
    }
    return make(start, Constant{make_text(text)});
  }
  if (!at(TokenKind::kName)) {
    fail(fmt::format("expected an expression, found {}", describe()));
  }
  std::string name = take().text;
  if (name == "true" || name == "True" || name == "false" || name == "False") {
    return make(start, Constant{Value(name == "true" || name == "True")});
  }
  if (name == "none" || name == "None") {
    return make(start, Constant{Value(None{})});
  }
  special_names_.varargs |= name == "varargs";
  special_names_.kwargs |= name == "kwargs";
  special_names_.caller |= name == "caller";
  return make(start, Name{std::move(name)});
}

ExprPtr ExpressionParser::parse_parenthesis() {
  const Place start = current().place;
  expect_operator("(");
  if (accept_operator(")")) {
    return make(start, SequenceLiteral{{}, true});
  }
  ExprPtr inside = parse_expression_list();
  expect_operator(")");
  return inside;
}

ExprPtr ExpressionParser::parse_list() {
  const Place start = current().place;
  expect_operator("[");
  SequenceLiteral list{{}, false};
  while (!at_operator("]")) {
    if (!list.items.empty()) {
      expect_operator(",");
      if (at_operator("]")) {
        break;
      }
    }
    list.items.push_back(parse_expression());
  }
  expect_operator("]");
  const int height = height_of(list.items);
  return make(start, std::move(list), height);
}

ExprPtr ExpressionParser::parse_dict() {
  const Place start = current().place;
  expect_operator("{");
  DictLiteral dict;
  int height = 0;
  while (!at_operator("}")) {
    if (!dict.entries.empty()) {
      expect_operator(",");
      if (at_operator("}")) {
        break;
      }
    }
    ExprPtr key = parse_expression();
    expect_operator(":");
    ExprPtr value = parse_expression();
    height = std::max({height, key->height, value->height});
    dict.entries.emplace_back(std::move(key), std::move(value));
  }
  expect_operator("}");
  return make(start, std::move(dict), height);
}

}  // namespace mm::jinja
