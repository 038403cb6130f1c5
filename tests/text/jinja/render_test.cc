// The template language against what Jinja2 gives (tests/golden/templates/language.json, written
// by tools/template_oracle.py), then errors and bounds, which are ours.
#include "text/jinja/render.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "text/jinja/parser.h"

namespace mm::jinja {
namespace {

using ::testing::HasSubstr;

std::string render_text(std::string_view source, const Json& context = Json::object(),
                        const Limits& limits = {}) {
  const Template tree = parse_template(source);
  RenderInput input{"test", {}, std::nullopt, limits};
  for (const auto& [key, value] : context.items()) {
    input.variables.emplace_back(key, &value);
  }
  return render(tree, input);
}

// The message of the error that a template ends in; "" when it renders.
std::string error_of(std::string_view source, const Json& context = Json::object()) {
  try {
    render_text(source, context);
  } catch (const Error& error) {
    return error.what();
  } catch (const SyntaxError& error) {
    return fmt::format("line {}: {}", error.line(), error.what());
  }
  return "";
}

ErrorKind kind_of(std::string_view source, const Limits& limits = {}) {
  try {
    render_text(source, Json::object(), limits);
  } catch (const Error& error) {
    return error.kind();
  }
  ADD_FAILURE() << "renders: " << source;
  return ErrorKind::kInternal;
}

TEST(JinjaTest, LanguageEqualsJinja2) {
  const MappedFile file(MM_SOURCE_DIR "/tests/golden/templates/language.json");
  const Json data = Json::parse(file.text());
  ASSERT_GT(data["cases"].size(), 600u);
  for (const Json& test : data["cases"]) {
    const std::string source = test["template"];
    const Json context = test.contains("context")
                             ? data["contexts"][test["context"].get<std::string>()]
                             : Json::object();
    const Json& expected = test["expect"];
    try {
      const std::string text = render_text(source, context);
      EXPECT_EQ(Json(text), expected) << source;
    } catch (const Error& error) {
      EXPECT_TRUE(expected.is_null())
          << source << "\n  fails: " << error.what() << "\n  expected " << expected;
    } catch (const SyntaxError& error) {
      EXPECT_TRUE(expected.is_null())
          << source << "\n  fails: " << error.what() << "\n  expected " << expected;
    }
  }
}

TEST(JinjaTest, ErrorsNameLineAndExpression) {
  EXPECT_EQ(error_of("a\n{{ user.name.first }}", {{"user", Json::object()}}),
            "test: line 2: 'dict object' has no attribute 'name' (in `user.name.first`)");
  EXPECT_EQ(error_of("{{ missing() }}"), "test: line 1: 'missing' is undefined (in `missing()`)");
  EXPECT_EQ(error_of("\n\n{% for x in 5 %}{% endfor %}"),
            "test: line 3: 'int' object is not iterable (in `5`)");
  EXPECT_EQ(error_of("{{ raise_exception('Roles must alternate!') }}"),
            "test: line 1: the template refuses this conversation: Roles must alternate! "
            "(in `raise_exception('Roles must alternate!')`)");
  EXPECT_EQ(error_of("{% macro m(a) %}\n{{ a + 1 }}\n{% endmacro %}{{ m('x') }}"),
            "test: line 2: can only concatenate str (not \"int\") to str (in `a + 1`)");
  EXPECT_EQ(error_of("{% set a, b = [1] %}"),
            "test: line 1: cannot unpack 1 values into 2 names (in `[1]`)");
  EXPECT_THAT(error_of("{{ 'a' | nosuch }}"), HasSubstr("there is no filter named 'nosuch'"));
  EXPECT_THAT(error_of("{{ 'a' is nosuch }}"), HasSubstr("there is no test named 'nosuch'"));
  EXPECT_THAT(error_of("{{ [1].append(2) }}"), HasSubstr("would change a list"));
  EXPECT_THAT(error_of("{{ strftime_now('%Y') }}"), HasSubstr("asks for the date"));
}

TEST(JinjaTest, LongExpressionsAreCutInErrors) {
  const std::string message = error_of("{{ missing(" + std::string(200, '1') + ".5, 'é') }}");
  EXPECT_LT(message.size(), 150u) << message;
  EXPECT_THAT(message, HasSubstr("..."));
}

TEST(JinjaTest, SyntaxErrorsNameTheLine) {
  EXPECT_EQ(error_of("a\n{% if x %}\nb"),
            "line 3: expected 'endif' for the tag opened on line 2, found the end of the template");
  EXPECT_EQ(error_of("{{ 1 + }}"), "line 1: expected an expression, found '}}'");
  EXPECT_EQ(error_of("\n{% for x in y recursive %}{% endfor %}"),
            "line 2: recursive loops are not supported; use a macro that calls itself");
  EXPECT_EQ(error_of("{% include 'x' %}"),
            "line 1: the tag 'include' is not supported in chat templates");
  EXPECT_EQ(error_of("\n{{ a\n\n'b"), "line 4: a string has no closing quote");
  EXPECT_EQ(error_of("\n{{ a\n\n"), "line 2: '{{' has no end '}}'");
}

TEST(JinjaTest, ClockIsTheHosts) {
  const Template tree =
      parse_template("{{ strftime_now('%d %b %Y|%-d %B %A|%H:%M:%S|%j %y %I %p %%|%F') }}");
  std::tm date{};
  date.tm_year = 124;
  date.tm_mon = 6;
  date.tm_mday = 5;
  date.tm_wday = 5;
  date.tm_yday = 186;
  date.tm_hour = 15;
  date.tm_min = 4;
  date.tm_sec = 9;
  RenderInput input{"test", {}, date, {}};
  EXPECT_EQ(render(tree, input), "05 Jul 2024|5 July Friday|15:04:09|187 24 03 PM %|2024-07-05");
  date.tm_mon = 77;
  input.now = date;
  EXPECT_THROW(render(tree, input), Error);
}

TEST(JinjaTest, TemplateSizeAndNestingAreBounded) {
  EXPECT_THAT(error_of(std::string(kMaxTemplateBytes + 1, 'x')), HasSubstr("over the limit"));
  const auto repeat = [](std::string_view text, int times) {
    std::string out;
    for (int i = 0; i < times; ++i) {
      out += text;
    }
    return out;
  };
  for (const std::string& source : {
           "{{ " + repeat("(", 10000) + "1" + repeat(")", 10000) + " }}",
           "{{ " + repeat("[", 10000) + repeat("]", 10000) + " }}",
           "{{ " + repeat("{1:", 10000) + "1" + repeat("}", 10000) + " }}",
           "{{ " + repeat("-", 10000) + "1 }}",
           "{{ " + repeat("not ", 10000) + "1 }}",
           "{{ 1" + repeat("+1", 10000) + " }}",
           "{{ a" + repeat(".a", 10000) + " }}",
           "{{ a" + repeat("|e", 10000) + " }}",
           "{{ a" + repeat("[0]", 10000) + " }}",
           "{{ a" + repeat("()", 10000) + " }}",
           "{{ a" + repeat("[a", 10000) + repeat("]", 10000) + " }}",
           "{{ 1" + repeat(" if 1 else 1", 10000) + " }}",
           "{{ 1" + repeat(" if 1", 10000) + " }}",
           "{{ 1" + repeat(" and 1", 10000) + " }}",
           "{{ 1" + repeat("**1", 10000) + " }}",
           repeat("{% if 1 %}", 10000),
           repeat("{% for x in y %}", 10000),
           repeat("{% macro m() %}", 10000),
           repeat("{% set x %}", 10000),
       }) {
    EXPECT_THAT(error_of(source), HasSubstr("more than 150")) << source.substr(0, 20);
  }
  // What is not nested has no such limit.
  EXPECT_EQ(error_of("{% if 0 %}" + repeat("{% elif 0 %}", 5000) + "{% endif %}"), "");
  EXPECT_EQ(error_of("{{ 1" + repeat(" ~ 1", 5000) + " }}"), "");
}

TEST(JinjaTest, WorkIsBounded) {
  Limits limits;
  limits.steps = 10'000;
  limits.string_bytes = 1'000;
  limits.output_bytes = 1'000;
  limits.built_bytes = 100'000;
  for (const char* source : {
           "{% for x in range(200) %}{% for y in range(200) %}{% endfor %}{% endfor %}",
           "{{ 'x' * 1000000000 }}",
           "{{ [0] * 1000000000 }}",
           "{{ range(1000000) }}",
           "{{ range(-9000000000000000000, 9000000000000000000) }}",
           "{% for x in range(200) %}0123456789{% endfor %}",
           "{% set ns = namespace(s='ab') %}{% for x in range(60) %}{% set ns.s = ns.s + ns.s %}"
           "{% endfor %}",
           "{% set ns = namespace(l=[1]) %}{% for x in range(60) %}{% set ns.l = ns.l + ns.l %}"
           "{% endfor %}",
           "{% set ns = namespace(l=[]) %}{% for x in range(60) %}{% set ns.l = [ns.l, ns.l] %}"
           "{% endfor %}{{ ns.l }}",
           "{% set a = namespace(l=[]) %}{% set b = namespace(l=[]) %}{% for x in range(60) %}"
           "{% set a.l = [a.l, a.l] %}{% set b.l = [b.l, b.l] %}{% endfor %}{{ a.l == b.l }}",
           "{% set ns = namespace(l=[]) %}{% for x in range(1000) %}{% set ns.l = [ns.l] %}"
           "{% endfor %}",
           "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
           "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}{{ a() }}",
           "{{ 2 ** 64 }}",
           "{{ 9223372036854775807 + 1 }}",
           "{{ -9223372036854775807 - 2 }}",
           "{{ 'x'.center(1000000000) }}",
           "{{ 'x'.zfill(1000000000) }}",
           "{{ '%1000000000d' % 1 }}",
           "{{ '{:1000000000}'.format(1) }}",
           "{{ '%.1000000000f' % 1.5 }}",
           "{{ ('a' * 100).replace('a', 'b' * 100) }}",
           "{{ ('a' * 100) | list | join('b' * 100) }}",
           "{{ 'a\n' | indent(1000000000) }}",
           "{{ [[]] | tojson(indent=1000000000) }}",
           "{{ 1.5 | round(1000000000) }}",
           "{{ ('9' * 90) | int }}",
       }) {
    EXPECT_EQ(kind_of(source, limits), ErrorKind::kTooLarge) << source;
  }
}

TEST(JinjaTest, ValuesThatHoldThemselvesAreNoTrouble) {
  EXPECT_EQ(render_text("{% set ns = namespace() %}{% set ns.me = ns %}{% set ns.l = [ns] %}"
                        "{{ ns.me.me.l | length }}{{ ns == ns.me }}"),
            "1True");
  EXPECT_EQ(render_text("{% macro m() %}{% endmacro %}{% set ns = namespace(m=m, r=range) %}"
                        "{% for x in [ns] %}{% set ns.loop = loop %}{% endfor %}"
                        "{{ ns.loop.index }}{% set ns.f = ns.loop.cycle %}{{ ns.f(7) }}"),
            "27");
}

TEST(JinjaTest, JsonThatIsTooDeepOrTooWideForAValueIsRefused) {
  Json deep = 1;
  for (int i = 0; i < kMaxValueDepth + 5; ++i) {
    deep = Json::array({deep});
  }
  EXPECT_THAT(error_of("", {{"x", deep}}), HasSubstr("variable 'x': values nest more than"));
  EXPECT_THAT(error_of("", {{"x", UINT64_MAX}}), HasSubstr("does not fit in 64 bits"));
  EXPECT_EQ(render_text("{{ x }}", {{"x", INT64_MAX}}), "9223372036854775807");
}

TEST(JinjaTest, RepetitiveTextTakesLinearTime) {
  const std::string text(1 << 20, 'a');
  const std::string needle = std::string(1 << 19, 'a') + "b";
  const Json context{{"t", text}, {"n", needle}};
  EXPECT_EQ(render_text("{{ n in t }}{{ t.find(n) }}{{ t.count(n) }}{{ t.replace(n, '') == t }}"
                        "{{ t.split(n) | length }}",
                        context),
            "False-10True1");
}

TEST(JinjaTest, StrayBytesAreKept) {
  const std::string stray = "a\xFFz";
  const Template tree = parse_template("{{ x }}{{ x | upper }}{{ x | length }}{{ x[::-1] }}");
  const Json value = stray;
  RenderInput input{"test", {{"x", &value}}, std::nullopt, {}};
  EXPECT_EQ(render(tree, input),
            "a\xFFzA\xFFZ3z\xFF"
            "a");
}

}  // namespace
}  // namespace mm::jinja
