// Every place of the schema that is met becomes a rule, so that references and recursion are calls.
// What JSON consists of is in shared rules: space, strings, values of any kind.
#include "text/grammar/json_schema.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "text/grammar/json_numbers.h"
#include "text/grammar/json_pattern.h"
#include "text/grammar/json_text.h"
#include "text/grammar/schema_bounds.h"
#include "text/grammar/schema_keywords.h"
#include "text/grammar/schema_overlap.h"

namespace mm::grammar {
namespace {

/// Optional elements nest in one another.
constexpr size_t kMaxPrefixItems = 256;

/// Which values of a place's schema are meant.
enum class Values { kAll, kObjects };

class SchemaCompiler {
 public:
  /// Adds to `rules`, and to the names of those that all schemas share.
  SchemaCompiler(JsonView root, RuleSet& rules, std::map<std::string, int>& shared)
      : root_(root), rules_(rules), shared_(shared) {}

  /// The rule of the whole schema.
  int compile(Values values) {
    const int whole = rule_of(root_, "", values);
    // A list, not recursion: references may form chains of any length.
    while (!waiting_.empty()) {
      const Place next = std::move(waiting_.back());
      waiting_.pop_back();
      set(next.rule, value_of(next.schema, next.pointer, next.values));
    }
    return whole;
  }

 private:
  struct Place {
    JsonView schema;
    std::string pointer;
    Values values;
    int rule;
  };

  // ---- rules -----------------------------------------------------------------------------------

  int add_rule(std::string name) {
    rules_.rules.push_back({std::move(name), {}});
    return static_cast<int>(rules_.rules.size()) - 1;
  }
  void set(int rule, Expression body) {
    rules_.rules[static_cast<size_t>(rule)].body = std::move(body);
  }

  /// A rule that is made when it is first asked for.
  template <typename Make>
  Expression shared(const std::string& name, Make make) {
    const auto [at, is_new] = shared_.try_emplace(name, -1);
    if (is_new) {
      const int rule = add_rule(name);
      at->second = rule;  // before the body, which may call it
      set(rule, make());
      return call(rule);
    }
    return call(at->second);
  }

  /// The rule of a place of the schema, to be filled later. Places are met again by reference.
  int rule_of(JsonView schema, const std::string& pointer, Values values) {
    const auto [at, is_new] = places_.try_emplace({pointer, values}, -1);
    if (is_new) {
      at->second = add_rule(fmt::format("schema at \"{}\"", pointer));
      waiting_.push_back({schema, pointer, values, at->second});
    }
    return at->second;
  }
  Expression call_of(JsonView schema, const std::string& pointer, Values values = Values::kAll) {
    return call(rule_of(schema, pointer, values));
  }

  // ---- any JSON --------------------------------------------------------------------------------

  Expression space() {
    return shared("space", [] { return json_space(); });
  }
  Expression any_string() {
    return shared("string", [] {
      return sequence(
          {bytes("\""), repeat(json_character(), 0, Expression::kNoLimit), bytes("\"")});
    });
  }
  Expression any_object() {
    return shared("object", [this] {
      const auto member = [this] { return member_of(any_string(), any_value()); };
      return braces('{', optional(list_of(member(), 1, Expression::kNoLimit)), '}');
    });
  }
  Expression any_array() {
    return shared("array", [this] {
      return braces('[', optional(list_of(any_value(), 1, Expression::kNoLimit)), ']');
    });
  }
  Expression any_value() {
    return shared("value", [this] {
      return choice({any_object(), any_array(), any_string(), any_number(), bytes("true"),
                     bytes("false"), bytes("null")});
    });
  }

  Expression member_of(Expression key, Expression value) {
    return sequence({std::move(key), bytes(":"), space(), std::move(value)});
  }
  Expression comma() { return sequence({bytes(","), space()}); }
  /// `min` (at least 1) to `max` of an item, with commas.
  Expression list_of(const Expression& item, int min, int max) {
    Expression more = sequence({comma(), item});
    return sequence(
        {item, repeat(std::move(more), min - 1, max == Expression::kNoLimit ? max : max - 1)});
  }
  Expression braces(char open, Expression inside, char close) {
    return sequence({bytes(std::string(1, open)), space(), std::move(inside), space(),
                     bytes(std::string(1, close))});
  }

  // ---- schemas ---------------------------------------------------------------------------------

  Expression value_of(JsonView schema, const std::string& pointer, Values values) {
    if (schema.is_bool()) {
      if (!schema.as_bool(pointer)) {
        return choice({});
      }
      return values == Values::kObjects ? any_object() : any_value();
    }
    if (!schema.is_object()) {
      bad_input("{}: a schema is {}, expected an object or a boolean", place(pointer),
                to_string(schema.kind()));
    }
    const SchemaKeywords keywords(schema, pointer);
    if (const std::optional<std::string>& form = keywords.whole()) {
      return value_of_form(schema, *form, pointer, values);
    }
    std::vector<Expression> kinds;
    for (const ValueKind kind : keywords.kinds()) {
      if (values == Values::kAll || kind == ValueKind::kObject) {
        kinds.push_back(value_of_kind(schema, kind, pointer));
      }
    }
    if (kinds.empty() && pointer.empty()) {
      bad_input("{}: allows no object", place(pointer));
    }
    return kinds.size() == 1 ? std::move(kinds[0]) : choice(std::move(kinds));
  }

  /// A keyword that says everything by itself.
  Expression value_of_form(JsonView schema, const std::string& keyword, const std::string& pointer,
                           Values values) {
    const JsonView value = *schema.find(keyword);
    const std::string at = pointer + "/" + keyword;
    if (keyword == "$ref") {
      const auto [target, target_pointer] = resolve_reference(root_, value, at);
      return call_of(target, target_pointer, values);
    }
    if (keyword == "const" || keyword == "enum") {
      std::vector<Expression> texts;
      for (const JsonView& one : listed_values(schema, pointer)) {
        if (values == Values::kAll || one.is_object()) {
          texts.push_back(bytes(one.dump()));
        }
      }
      return choice(std::move(texts));
    }
    const std::vector<JsonView> parts = value.elements(place(at));
    if (parts.empty()) {
      bad_input("{}: an empty list, expected at least one schema", place(at));
    }
    if (keyword == "allOf" && parts.size() > 1) {
      raise(ErrorKind::kUnsupported,
            "{}: \"allOf\" of more than one schema cannot be enforced; write one schema with all "
            "keywords",
            place(pointer));
    }
    if (keyword == "oneOf") {
      require_disjoint(root_, parts, at);
    }
    std::vector<Expression> choices;
    for (size_t i = 0; i < parts.size(); ++i) {
      choices.push_back(call_of(parts[i], fmt::format("{}/{}", at, i), values));
    }
    return choice(std::move(choices));
  }

  Expression value_of_kind(JsonView schema, ValueKind kind, const std::string& pointer) {
    switch (kind) {
      case ValueKind::kNull:
        return bytes("null");
      case ValueKind::kBoolean:
        return choice({bytes("true"), bytes("false")});
      case ValueKind::kInteger:
        return bounded_integers(schema, pointer);
      case ValueKind::kNumber:
        return bounded_numbers(schema, pointer);
      case ValueKind::kString:
        return string_of(schema, pointer);
      case ValueKind::kArray:
        return array_of(schema, pointer);
      case ValueKind::kObject:
        return object_of(schema, pointer);
    }
    return choice({});
  }

  Expression string_of(JsonView schema, const std::string& pointer) {
    const auto pattern = schema.find("pattern");
    const auto format = schema.find("format");
    const CountRange length = read_count(schema, "minLength", "maxLength", pointer);
    const int given = (pattern ? 1 : 0) + (format ? 1 : 0) + (length.is_given ? 1 : 0);
    if (given > 1) {
      raise(ErrorKind::kUnsupported,
            "{}: only one of \"pattern\", \"format\" and lengths can be enforced at once",
            place(pointer));
    }
    Expression inside;
    if (pattern) {
      const std::string where = place(pointer + "/pattern");
      inside = pattern_text(pattern->as_string(where), where);
    } else if (format) {
      const std::string where = place(pointer + "/format");
      inside = pattern_text(pattern_of_format(format->as_string(where), pointer), where);
    } else if (length.is_given) {
      inside = repeat(json_character(), length.min, length.max);
    } else {
      return any_string();
    }
    return sequence({bytes("\""), std::move(inside), bytes("\"")});
  }

  Expression array_of(JsonView schema, const std::string& pointer) {
    const CountRange count = read_count(schema, "minItems", "maxItems", pointer);
    std::vector<Expression> first;
    if (const auto prefix = schema.find("prefixItems")) {
      const std::string at = pointer + "/prefixItems";
      const std::vector<JsonView> schemas = prefix->elements(place(at));
      if (schemas.size() > kMaxPrefixItems) {
        raise(ErrorKind::kTooLarge, "{}: {} schemas, expected at most {}", place(at),
              schemas.size(), kMaxPrefixItems);
      }
      for (size_t i = 0; i < schemas.size(); ++i) {
        first.push_back(call_of(schemas[i], fmt::format("{}/{}", at, i)));
      }
    }
    const auto items = schema.find("items");
    if (items && items->is_array()) {
      raise(ErrorKind::kUnsupported,
            "{}: \"items\" with a list of schemas is not read; write \"prefixItems\"",
            place(pointer));
    }
    const Expression rest = items ? call_of(*items, pointer + "/items") : any_value();
    return braces('[', elements_of(first, rest, count), ']');
  }

  /// `count` elements: those of `first`, then `rest`. What need not be there nests, since an
  /// element can only follow the one before it.
  Expression elements_of(const std::vector<Expression>& first, const Expression& rest,
                         const CountRange& count) {
    const int listed = static_cast<int>(first.size());
    Expression tail = bytes("");
    if (count.max == Expression::kNoLimit || count.max > listed) {
      const int max = count.max == Expression::kNoLimit ? count.max : count.max - listed;
      const int min = std::max(0, count.min - listed);
      tail = listed > 0 ? repeat(sequence({comma(), rest}), min, max)
                        : list_of(rest, std::max(1, min), max);
      if (listed == 0 && min == 0) {
        tail = optional(std::move(tail));
      }
    }
    const int most = count.max == Expression::kNoLimit ? listed : std::min(listed, count.max);
    for (int i = most; i-- > 0;) {
      const Expression& item = first[static_cast<size_t>(i)];
      tail = sequence({i > 0 ? sequence({comma(), item}) : item, std::move(tail)});
      if (i >= count.min) {
        tail = optional(std::move(tail));
      }
    }
    return tail;
  }

  // ---- objects ---------------------------------------------------------------------------------

  struct Member {
    Expression text;
    bool is_required;
  };

  Expression object_of(JsonView schema, const std::string& pointer) {
    const ObjectShape shape = read_object(schema, pointer);
    std::vector<Member> members;
    for (const ObjectShape::Property& property : shape.properties) {
      Expression value =
          property.schema ? call_of(*property.schema, property.pointer) : additional_value(shape);
      members.push_back(
          {member_of(bytes(json_string(property.name)), std::move(value)), property.is_required});
    }
    if (!shape.allows_others) {
      return braces('{', members_of(members, nullptr, pointer), '}');
    }
    if (members.empty() && !shape.additional) {
      return any_object();
    }
    std::vector<std::string> names;
    for (const ObjectShape::Property& property : shape.properties) {
      names.push_back(property.name);
    }
    const int key = add_rule(fmt::format("other names at \"{}\"", pointer));
    set(key, json_string_besides(names));
    const Expression other = member_of(call(key), additional_value(shape));
    return braces('{', members_of(members, &other, pointer), '}');
  }

  Expression additional_value(const ObjectShape& shape) {
    return shape.additional ? call_of(*shape.additional, shape.additional_pointer) : any_value();
  }

  /// Members in their order, then any number of others. `tails[i]`: what may follow when a member
  /// before number i has been written; a rule each, so that the size stays linear.
  Expression members_of(const std::vector<Member>& members, const Expression* other,
                        const std::string& pointer) {
    const size_t count = members.size();
    std::vector<Expression> tails(count + 1);
    tails[count] =
        other != nullptr ? repeat(sequence({comma(), *other}), 0, Expression::kNoLimit) : bytes("");
    for (size_t i = count; i-- > 1;) {
      Expression this_one = sequence({comma(), members[i].text});
      const int rule = add_rule(fmt::format("members from {} at \"{}\"", i, pointer));
      set(rule,
          sequence({members[i].is_required ? std::move(this_one) : optional(std::move(this_one)),
                    tails[i + 1]}));
      tails[i] = call(rule);
    }
    std::vector<Expression> firsts;
    size_t i = 0;
    for (; i < count; ++i) {
      firsts.push_back(sequence({members[i].text, tails[i + 1]}));
      if (members[i].is_required) {
        break;
      }
    }
    if (i == count) {  // none is required
      firsts.push_back(bytes(""));
      if (other != nullptr) {
        firsts.push_back(sequence({*other, tails[count]}));
      }
    }
    return choice(std::move(firsts));
  }

  const JsonView root_;
  RuleSet& rules_;
  std::map<std::string, int>& shared_;
  std::map<std::pair<std::string, Values>, int> places_;  ///< by JSON pointer
  std::vector<Place> waiting_;                            ///< places whose rules are empty
};

}  // namespace

RuleSet json_schema_rules(std::string_view schema) {
  RuleSet rules;
  rules.root = JsonSchemaRules(rules).add(schema);
  return rules;
}

int JsonSchemaRules::add(std::string_view schema) {
  const JsonDocument document = JsonDocument::parse(schema, "json schema");
  return SchemaCompiler(document.root(), rules_, shared_).compile(Values::kAll);
}

int JsonSchemaRules::add_object(std::string_view schema) {
  const JsonDocument document = JsonDocument::parse(schema, "json schema");
  return SchemaCompiler(document.root(), rules_, shared_).compile(Values::kObjects);
}

}  // namespace mm::grammar
