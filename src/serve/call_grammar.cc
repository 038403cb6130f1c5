#include "serve/call_grammar.h"

#include <fmt/format.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "serve/api_error.h"
#include "text/grammar/json_schema.h"

namespace mm {

namespace {

using grammar::Expression;
using grammar::RuleSet;

/// The arguments of one tool, as a call of their rule.
Expression arguments_of(const JsonView& tool, const std::string& schema_field,
                        grammar::JsonSchemaRules& schemas) {
  try {
    return grammar::call(schemas.add_object(tool.find("parameters")->dump()));
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInternal) {
      throw;
    }
    const std::string field =
        fmt::format("tools[{}].{}", tool.find("index")->as_int("index"), schema_field);
    throw ApiError(
        400, "invalid_request_error",
        fmt::format("{} ('{}'): {}", field, tool.find("name")->as_string("name"), error.what()),
        field, "invalid_function_parameters");
  }
}

}  // namespace

AnswerFormat make_call_format(const CallDemand& demand, bool closes) {
  const Json text = {{"m1", demand.form == ToolFormat::kM1},
                     {"one", demand.one},
                     {"closes", closes},
                     {"field", demand.schema_field},
                     {"tools", demand.tools}};
  AnswerFormat format{AnswerFormat::Kind::kCalls, text.dump(), "tools", "tools"};
  check_size(format);
  return format;
}

std::shared_ptr<const Grammar> compile_call_format(const AnswerFormat& format,
                                                   std::shared_ptr<const TokenTrie> trie) {
  const JsonDocument document = JsonDocument::parse(format.text, "call format");
  const JsonView root = document.root();
  const auto is = [&](const char* name) { return root.find(name)->as_bool(name); };
  const CallForm& form = call_form(is("m1") ? ToolFormat::kM1 : ToolFormat::kText01);
  const std::string field(root.find("field")->as_string("field"));
  RuleSet rules;
  grammar::JsonSchemaRules schemas(rules);
  std::vector<Expression> calls;
  for (const JsonView& tool : root.find("tools")->elements("tools")) {
    std::string before(form.before_name);
    before += tool.find("name")->as_string("name");
    before += form.before_arguments;
    calls.push_back(
        grammar::sequence({grammar::bytes(std::move(before)), arguments_of(tool, field, schemas),
                           grammar::bytes(std::string(form.end))}));
  }
  const auto add_rule = [&](const char* name, Expression body) {
    rules.rules.push_back({name, std::move(body)});
    return static_cast<int>(rules.rules.size()) - 1;
  };
  const Expression call = grammar::call(add_rule("call", grammar::choice(std::move(calls))));
  Expression answer = call;
  if (!is("one")) {
    const std::string closing = is("closes") ? std::string(form.closing) : "";
    answer = grammar::sequence(
        {call,
         grammar::repeat(grammar::sequence({grammar::bytes("\n"), call}), 0, Expression::kNoLimit),
         grammar::bytes("\n" + closing)});
  }
  rules.root = add_rule("calls", std::move(answer));
  return std::make_shared<const Grammar>(rules, std::move(trie));
}

}  // namespace mm
