#include "text/jinja/parser.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "text/jinja/expression_parser.h"

namespace mm::jinja {
namespace {

// Tags of Jinja that reach for other files or that chat templates have no use for.
constexpr std::array<std::string_view, 8> kRefusedTags = {
    "include", "import", "from", "extends", "block", "autoescape", "do", "trans"};

class Parser : public ExpressionParser {
 public:
  using ExpressionParser::ExpressionParser;

  Body parse_all() {
    Body body = parse_body();
    if (!at(TokenKind::kEnd)) {
      fail(fmt::format("'{}' closes nothing", tag_name()));
    }
    return body;
  }

 private:
  // The word of the tag whose '{%' is the current token.
  std::string_view tag_name() const { return peek().text; }

  // Statements up to the end of the template or a tag that this level does not know.
  Body parse_body() {
    const Nesting nesting(*this);
    Body body;
    while (!at(TokenKind::kEnd)) {
      if (at(TokenKind::kBlockBegin) && is_closing(tag_name())) {
        break;
      }
      body.push_back(parse_statement());
    }
    return body;
  }

  static bool is_closing(std::string_view name) {
    return name == "else" || name == "elif" || name.substr(0, 3) == "end";
  }

  std::unique_ptr<Statement> make(const Place& start, Statement::Node node) {
    return std::make_unique<Statement>(Statement{start, std::move(node)});
  }

  std::unique_ptr<Statement> parse_statement() {
    const Place start = current().place;
    if (at(TokenKind::kData)) {
      return make(start, Data{take().text});
    }
    if (at(TokenKind::kVariableBegin)) {
      take();
      Print print{parse_expression_list()};
      expect(TokenKind::kVariableEnd, "'}}'");
      return make(start, std::move(print));
    }
    expect(TokenKind::kBlockBegin, "'{%'");
    const std::string name = expect_identifier("the name of a tag");
    return make(start, parse_tag(name));
  }

  Statement::Node parse_tag(const std::string& name) {
    if (name == "set") {
      return parse_set();
    }
    if (name == "for") {
      return parse_for();
    }
    if (name == "if") {
      return parse_if();
    }
    if (name == "macro") {
      return parse_macro();
    }
    if (name == "call") {
      return parse_call_block();
    }
    if (name == "filter") {
      return parse_filter_block();
    }
    if (name == "with") {
      return parse_with();
    }
    if (name == "generation") {
      // Marks the model's own words for training; renders what is inside.
      expect_tag_end();
      return With{{}, parse_closed_body("endgeneration")};
    }
    if (name == "break" || name == "continue") {
      return parse_loop_control(name == "break");
    }
    if (std::find(kRefusedTags.begin(), kRefusedTags.end(), name) != kRefusedTags.end()) {
      fail(fmt::format("the tag '{}' is not supported in chat templates", name));
    }
    fail(fmt::format("unknown tag '{}'", name));
  }

  void expect(TokenKind kind, std::string_view what) {
    if (!at(kind)) {
      fail(fmt::format("expected {}, found {}", what, describe()));
    }
    take();
  }
  void expect_tag_end() { expect(TokenKind::kBlockEnd, "'%}'"); }

  // Whether the next tag is `name`; then its opening and name are consumed.
  bool accept_tag(std::string_view name) {
    if (!at(TokenKind::kBlockBegin) || peek().kind != TokenKind::kName || tag_name() != name) {
      return false;
    }
    take();
    take();
    return true;
  }

  void expect_tag(std::string_view name, int opened) {
    if (!accept_tag(name)) {
      const std::string found =
          at(TokenKind::kBlockBegin) ? fmt::format("'{}'", tag_name()) : describe();
      fail(fmt::format("expected '{}' for the tag opened on line {}, found {}", name, opened,
                       found));
    }
  }

  // A body and the tag that closes it.
  Body parse_closed_body(std::string_view closing) {
    const int opened = current().place.line;
    Body body = parse_body();
    expect_tag(closing, opened);
    expect_tag_end();
    return body;
  }

  static void check_assignable(const Parser& parser, const std::string& name) {
    constexpr std::array<std::string_view, 9> kReserved = {"true", "True", "false", "False", "none",
                                                           "None", "not",  "and",   "or"};
    if (std::find(kReserved.begin(), kReserved.end(), name) != kReserved.end()) {
      parser.fail(fmt::format("cannot assign to '{}'", name));
    }
  }

  Target parse_target(bool with_attribute) {
    Target target;
    const bool parenthesis = accept_operator("(");
    target.names.push_back(expect_identifier("a name to assign to"));
    check_assignable(*this, target.names.back());
    if (with_attribute && !parenthesis && accept_operator(".")) {
      target.attribute = expect_identifier("the name of an attribute");
      return target;
    }
    while (accept_operator(",")) {
      target.unpack = true;
      if (!at(TokenKind::kName) || at_name("in")) {
        break;
      }
      target.names.push_back(expect_identifier("a name to assign to"));
      check_assignable(*this, target.names.back());
    }
    if (parenthesis) {
      expect_operator(")");
    }
    return target;
  }

  Statement::Node parse_set() {
    Target target = parse_target(true);
    if (accept_operator("=")) {
      Set set{std::move(target), parse_expression_list()};
      expect_tag_end();
      return set;
    }
    if (target.unpack) {
      fail("a block 'set' assigns to one name");
    }
    ExprPtr filters = accept_operator("|") ? parse_filter_chain() : nullptr;
    expect_tag_end();
    return SetBlock{std::move(target), std::move(filters), parse_closed_body("endset")};
  }

  Statement::Node parse_for() {
    const int opened = current().place.line;
    For loop;
    loop.target = parse_target(false);
    expect_name("in");
    loop.items = parse_expression_list(false);
    if (accept_name("if")) {
      loop.condition = parse_expression();
    }
    if (at_name("recursive")) {
      fail("recursive loops are not supported; use a macro that calls itself");
    }
    expect_tag_end();
    ++loops_;
    loop.body = parse_body();
    --loops_;
    if (accept_tag("else")) {
      expect_tag_end();
      loop.otherwise = parse_body();
    }
    expect_tag("endfor", opened);
    expect_tag_end();
    return loop;
  }

  Statement::Node parse_loop_control(bool is_break) {
    if (loops_ == 0) {
      fail(fmt::format("'{}' stands outside a loop", is_break ? "break" : "continue"));
    }
    expect_tag_end();
    if (is_break) {
      return Break{};
    }
    return Continue{};
  }

  Statement::Node parse_if() {
    const int opened = current().place.line;
    If branches;
    do {
      ExprPtr condition = parse_expression_list(true);
      expect_tag_end();
      branches.branches.emplace_back(std::move(condition), parse_body());
    } while (accept_tag("elif"));
    if (accept_tag("else")) {
      expect_tag_end();
      branches.otherwise = parse_body();
    }
    expect_tag("endif", opened);
    expect_tag_end();
    return branches;
  }

  // (name, name=default, …)
  void parse_parameters(MacroCode& code) {
    expect_operator("(");
    while (!accept_operator(")")) {
      if (!code.parameters.empty()) {
        expect_operator(",");
      }
      code.parameters.push_back(expect_identifier("the name of a parameter"));
      check_assignable(*this, code.parameters.back());
      if (accept_operator("=")) {
        code.defaults.push_back(parse_expression());
      } else if (!code.defaults.empty()) {
        fail("a parameter without a default follows one with a default");
      }
      if (code.parameters.size() > kMaxArguments) {
        fail(fmt::format("more than {} parameters", kMaxArguments));
      }
    }
  }

  // The rest of a macro or call block from its body on.
  void parse_macro_body(MacroCode& code, std::string_view closing) {
    const SpecialNames outside = std::exchange(special_names(), SpecialNames{});
    const int loops = std::exchange(loops_, 0);
    code.body = parse_closed_body(closing);
    loops_ = loops;
    const SpecialNames inside = std::exchange(special_names(), outside);
    code.uses_varargs = inside.varargs;
    code.uses_kwargs = inside.kwargs;
    code.uses_caller = inside.caller;
    special_names().caller |= inside.caller;  // a call block may use the caller around it
  }

  Statement::Node parse_macro() {
    Macro macro;
    macro.code.name = expect_identifier("the name of a macro");
    check_assignable(*this, macro.code.name);
    parse_parameters(macro.code);
    expect_tag_end();
    parse_macro_body(macro.code, "endmacro");
    return macro;
  }

  Statement::Node parse_call_block() {
    CallBlock block;
    block.caller.name = "caller";
    if (at_operator("(")) {
      parse_parameters(block.caller);
    }
    block.call = parse_expression();
    if (!std::holds_alternative<Call>(block.call->node)) {
      fail("a 'call' block needs a call, such as {% call name() %}");
    }
    expect_tag_end();
    parse_macro_body(block.caller, "endcall");
    return block;
  }

  Statement::Node parse_filter_block() {
    ExprPtr filters = parse_filter_chain();
    expect_tag_end();
    return FilterBlock{std::move(filters), parse_closed_body("endfilter")};
  }

  Statement::Node parse_with() {
    With with;
    while (!at(TokenKind::kBlockEnd)) {
      if (!with.bindings.empty()) {
        expect_operator(",");
      }
      Target target = parse_target(false);
      expect_operator("=");
      with.bindings.emplace_back(std::move(target), parse_expression());
    }
    expect_tag_end();
    with.body = parse_closed_body("endwith");
    return with;
  }

  int loops_ = 0;  // loops of this macro or template that are open
};

}  // namespace

Template parse_template(std::string_view source) {
  if (source.size() > kMaxTemplateBytes) {
    throw SyntaxError(1, fmt::format("the template has {} bytes, over the limit of {}",
                                     source.size(), kMaxTemplateBytes));
  }
  Template result;
  result.source = normalize_source(source);
  result.body = Parser(tokenize(result.source)).parse_all();
  return result;
}

}  // namespace mm::jinja
