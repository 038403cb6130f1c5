// The parts of ExpressionParser that read what follows an operand: access, calls, filters, tests.
#include <fmt/format.h>

#include <algorithm>

#include "text/jinja/expression_parser.h"

namespace mm::jinja {
namespace {

// Words that end an expression or join two, so they cannot start a test's argument.
bool is_joining_word(const Token& token) {
  return token.text == "else" || token.text == "or" || token.text == "and" || token.text == "if";
}

bool is_operator_token(const Token& token, std::string_view text) {
  return token.kind == TokenKind::kOperator && token.text == text;
}

}  // namespace

ExprPtr ExpressionParser::parse_postfix(ExprPtr expr) {
  const Place start = expr->place;
  while (true) {
    const int height = expr->height;
    if (accept_operator(".")) {
      if (at(TokenKind::kInteger)) {
        ExprPtr index = make(current().place, Constant{Value(current().integer)});
        take();
        expr = make(start, GetItem{std::move(expr), std::move(index)}, height);
      } else {
        std::string name = expect_identifier("a name after '.'");
        expr = make(start, GetAttribute{std::move(expr), std::move(name)}, height);
      }
    } else if (at_operator("[")) {
      expr = parse_subscript(std::move(expr));
    } else if (at_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_subscript(ExprPtr object) {
  const Nesting nesting(*this);
  const Place start = object->place;
  expect_operator("[");
  ExprPtr parts[3];
  size_t count = 0;
  bool slice = false;
  while (true) {
    if (!at_operator(":") && !at_operator("]")) {
      parts[count] = parse_expression_list();
    }
    if (count == 2 || !accept_operator(":")) {
      break;
    }
    slice = true;
    ++count;
  }
  expect_operator("]");
  int height = std::max({height_of(object), height_of(parts[0]), height_of(parts[1])});
  height = std::max(height, height_of(parts[2]));
  if (slice) {
    return make(
        start,
        GetSlice{std::move(object), std::move(parts[0]), std::move(parts[1]), std::move(parts[2])},
        height);
  }
  if (!parts[0]) {
    fail("expected an index between '[' and ']'");
  }
  return make(start, GetItem{std::move(object), std::move(parts[0])}, height);
}

ExprPtr ExpressionParser::parse_call(ExprPtr callee) {
  const Place start = callee->place;
  CallArguments arguments = parse_arguments();
  const int height = std::max(callee->height, height_of(arguments));
  return make(start, Call{std::move(callee), std::move(arguments)}, height);
}

void ExpressionParser::parse_argument(CallArguments& arguments) {
  if (accept_operator("**")) {
    if (arguments.double_star) {
      fail("a call takes one '**' argument");
    }
    arguments.double_star = parse_expression();
    return;
  }
  if (accept_operator("*")) {
    if (arguments.star || arguments.double_star) {
      fail("a call takes one '*' argument, before '**'");
    }
    arguments.star = parse_expression();
    return;
  }
  if (at(TokenKind::kName) && is_operator_token(peek(), "=")) {
    std::string name = take().text;
    take();
    arguments.named.emplace_back(std::move(name), parse_expression());
    return;
  }
  if (!arguments.named.empty() || arguments.star || arguments.double_star) {
    fail("a positional argument stands after a named one");
  }
  arguments.positional.push_back(parse_expression());
}

CallArguments ExpressionParser::parse_arguments() {
  expect_operator("(");
  CallArguments arguments;
  for (size_t count = 0; !at_operator(")"); ++count) {
    if (count > 0) {
      expect_operator(",");
      if (at_operator(")")) {
        break;
      }
    }
    if (count >= kMaxArguments) {
      fail(fmt::format("more than {} arguments", kMaxArguments));
    }
    parse_argument(arguments);
  }
  expect_operator(")");
  return arguments;
}

ExprPtr ExpressionParser::parse_suffixes(ExprPtr expr) {
  while (true) {
    if (accept_operator("|")) {
      expr = parse_filter(std::move(expr));
    } else if (accept_name("is")) {
      expr = parse_test(std::move(expr));
    } else if (at_operator("(")) {
      expr = parse_call(std::move(expr));
    } else {
      return expr;
    }
  }
}

ExprPtr ExpressionParser::parse_filter_chain() {
  ExprPtr chain = parse_filter(nullptr);
  while (accept_operator("|")) {
    chain = parse_filter(std::move(chain));
  }
  return chain;
}

std::string ExpressionParser::parse_dotted_name(std::string_view what) {
  std::string name = expect_identifier(what);
  while (accept_operator(".")) {
    name += "." + expect_identifier(what);
  }
  return name;
}

ExprPtr ExpressionParser::parse_filter(ExprPtr input) {
  const Place start = input ? input->place : current().place;
  std::string name = parse_dotted_name("the name of a filter");
  CallArguments arguments;
  if (at_operator("(")) {
    arguments = parse_arguments();
  }
  const int height = std::max(height_of(input), height_of(arguments));
  return make(start, ApplyFilter{std::move(input), std::move(name), std::move(arguments)}, height);
}

ExprPtr ExpressionParser::parse_test(ExprPtr input) {
  const Place start = input->place;
  const bool negated = accept_name("not");
  std::string name = parse_dotted_name("the name of a test");
  CallArguments arguments;
  const bool starts_value = at(TokenKind::kName) || at(TokenKind::kString) ||
                            at(TokenKind::kInteger) || at(TokenKind::kFloat) || at_operator("[") ||
                            at_operator("{");
  if (at_operator("(")) {
    arguments = parse_arguments();
  } else if (starts_value && !(at(TokenKind::kName) && is_joining_word(current()))) {
    if (at_name("is")) {
      fail("tests cannot follow one another; put the first into parentheses");
    }
    arguments.positional.push_back(parse_postfix(parse_primary()));
  }
  int height = std::max(height_of(input), height_of(arguments));
  ExprPtr test =
      make(start, ApplyTest{std::move(input), std::move(name), std::move(arguments)}, height);
  if (!negated) {
    return test;
  }
  height = test->height;
  return make(start, Unary{UnaryOp::kNot, std::move(test)}, height);
}

}  // namespace mm::jinja
