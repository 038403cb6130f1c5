/// The expression half of the parser.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/jinja/ast.h"
#include "text/jinja/token_stream.h"

namespace mm::jinja {

/// Recursive descent over expressions, one function per level of precedence.
class ExpressionParser : public TokenStream {
 public:
  explicit ExpressionParser(std::vector<Token> tokens) : TokenStream(std::move(tokens)) {}

  /// An expression; without `conditional`, `a if b` stops before the `if`.
  ExprPtr parse_expression(bool conditional = true);
  /// An expression or several with commas between, which make a tuple.
  ExprPtr parse_expression_list(bool conditional = true);
  /// name(arguments) | name …: the filters of a block, whose input is the block's text.
  ExprPtr parse_filter_chain();
  /// Filters, tests and calls that follow `expr`.
  ExprPtr parse_suffixes(ExprPtr expr);
  /// The arguments of a call whose '(' is the current token.
  CallArguments parse_arguments();

  /// Names used since this was last cleared that change how a macro is called.
  struct SpecialNames {
    bool varargs = false;
    bool kwargs = false;
    bool caller = false;
  };
  SpecialNames& special_names() { return special_names_; }

  /// Counts one level of nesting while it lives; throws when there are too many.
  class Nesting {
   public:
    explicit Nesting(ExpressionParser& parser);
    ~Nesting() { --parser_.depth_; }
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;

   private:
    ExpressionParser& parser_;
  };

 private:
  // A node that starts where `start` does and ends before the current token.
  ExprPtr make(const Place& start, Expr::Node node, int child_height = 0);
  static int height_of(const ExprPtr& expr);
  static int height_of(const std::vector<ExprPtr>& exprs);
  static int height_of(const CallArguments& arguments);
  ExprPtr make_binary(const Place& start, BinaryOp op, ExprPtr left, ExprPtr right);

  ExprPtr parse_or();
  ExprPtr parse_and();
  ExprPtr parse_not();
  ExprPtr parse_comparison();
  ExprPtr parse_sum();
  ExprPtr parse_concat();
  ExprPtr parse_product();
  ExprPtr parse_power();
  ExprPtr parse_unary(bool with_filters);
  ExprPtr parse_primary();
  ExprPtr parse_parenthesis();
  ExprPtr parse_list();
  ExprPtr parse_dict();
  ExprPtr parse_postfix(ExprPtr expr);
  ExprPtr parse_subscript(ExprPtr object);
  ExprPtr parse_filter(ExprPtr input);
  ExprPtr parse_test(ExprPtr input);
  ExprPtr parse_call(ExprPtr callee);
  void parse_argument(CallArguments& arguments);
  bool accept_compare(CompareOp& op);
  std::string parse_dotted_name(std::string_view what);

  int depth_ = 0;
  SpecialNames special_names_;
};

}  // namespace mm::jinja
