#include "text/grammar/schema_keywords.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.h"

namespace mm::grammar {
namespace {

/// Keywords that say nothing about which values are allowed.
constexpr std::array<std::string_view, 16> kAnnotations = {
    "$schema", "$id",        "$comment", "$defs",        "definitions", "title",
    "default", "deprecated", "readOnly", "writeOnly",    "examples",    "description",
    "example", "$anchor",    "strict",   "discriminator"};

constexpr std::array<std::string_view, 6> kWhole = {"$ref",  "const", "enum",
                                                    "anyOf", "oneOf", "allOf"};

struct KindKeyword {
  std::string_view name;
  ValueKind kind;
};
constexpr std::array<KindKeyword, 16> kOfKinds = {{{"minimum", ValueKind::kNumber},
                                                   {"maximum", ValueKind::kNumber},
                                                   {"exclusiveMinimum", ValueKind::kNumber},
                                                   {"exclusiveMaximum", ValueKind::kNumber},
                                                   {"minLength", ValueKind::kString},
                                                   {"maxLength", ValueKind::kString},
                                                   {"pattern", ValueKind::kString},
                                                   {"format", ValueKind::kString},
                                                   {"items", ValueKind::kArray},
                                                   {"prefixItems", ValueKind::kArray},
                                                   {"minItems", ValueKind::kArray},
                                                   {"maxItems", ValueKind::kArray},
                                                   {"uniqueItems", ValueKind::kArray},
                                                   {"properties", ValueKind::kObject},
                                                   {"required", ValueKind::kObject},
                                                   {"additionalProperties", ValueKind::kObject}}};

constexpr std::array<ValueKind, 6> kAllKinds = {ValueKind::kObject,  ValueKind::kArray,
                                                ValueKind::kString,  ValueKind::kNumber,
                                                ValueKind::kBoolean, ValueKind::kNull};

struct KindName {
  std::string_view name;
  ValueKind kind;
};
constexpr std::array<KindName, 7> kKindNames = {{{"null", ValueKind::kNull},
                                                 {"boolean", ValueKind::kBoolean},
                                                 {"integer", ValueKind::kInteger},
                                                 {"number", ValueKind::kNumber},
                                                 {"string", ValueKind::kString},
                                                 {"array", ValueKind::kArray},
                                                 {"object", ValueKind::kObject}}};

struct Format {
  std::string_view name;
  std::string_view pattern;
};
#define MM_DATE                                                                               \
  R"(\d{4}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30))" \
  R"(|02-(?:0[1-9]|1\d|2[0-8])))"
#define MM_TIME                                        \
  R"((?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?)" \
  R"((?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d))"
#define MM_BYTE R"((?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d))"
#define MM_LABEL R"([A-Za-z0-9](?:[A-Za-z0-9-]{0,30}[A-Za-z0-9])?)"
constexpr std::array<Format, 6> kFormats = {
    {{"date", "^" MM_DATE "$"},
     {"time", "^" MM_TIME "$"},
     {"date-time", "^" MM_DATE "T" MM_TIME "$"},
     {"uuid", R"(^[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$)"},
     {"ipv4", "^" MM_BYTE R"((?:\.)" MM_BYTE "){3}$"},
     {"email", R"(^[A-Za-z0-9_+-]{1,32}(?:\.[A-Za-z0-9_+-]{1,31})?@)" MM_LABEL R"((?:\.)" MM_LABEL
               "){1,3}$"}}};
#undef MM_DATE
#undef MM_TIME
#undef MM_BYTE
#undef MM_LABEL

template <typename List>
bool contains(const List& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

const KindKeyword* find_kind_keyword(std::string_view name) {
  const auto* const at = std::find_if(kOfKinds.begin(), kOfKinds.end(),
                                      [&](const KindKeyword& k) { return k.name == name; });
  return at == kOfKinds.end() ? nullptr : at;
}

[[noreturn]] void cannot_be_enforced(std::string_view keyword, const std::string& pointer) {
  raise(ErrorKind::kUnsupported, "{}: keyword \"{}\" cannot be enforced", place(pointer), keyword);
}

void add_kind(std::vector<ValueKind>& kinds, ValueKind kind) {
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    kinds.push_back(kind);
  }
}

/// A part of a JSON pointer in a URI fragment as it stands in keys.
std::string unescape(std::string_view part, const std::string& pointer) {
  std::string key;
  for (size_t i = 0; i < part.size(); ++i) {
    if (part[i] == '~' && i + 1 < part.size() && (part[i + 1] == '0' || part[i + 1] == '1')) {
      key += part[++i] == '0' ? '~' : '/';
    } else if (part[i] == '%') {
      raise(ErrorKind::kUnsupported, "{}: a reference with % escapes is not read", place(pointer));
    } else {
      key += part[i];
    }
  }
  return key;
}

std::optional<JsonView> find_part(JsonView value, const std::string& key) {
  if (!value.is_array()) {
    return value.find(key);
  }
  const std::vector<JsonView> elements = value.elements("");
  for (size_t i = 0; i < elements.size(); ++i) {
    if (key == std::to_string(i)) {
      return elements[i];
    }
  }
  return std::nullopt;
}

}  // namespace

std::string place(std::string_view pointer) {
  return pointer.empty() ? "json schema" : fmt::format("json schema at {}", pointer);
}

SchemaKeywords::SchemaKeywords(JsonView schema, const std::string& pointer) {
  std::optional<std::string> beside;  // a keyword that whole_ does not go with
  for (const auto& [name, value] : schema.members(place(pointer))) {
    if (contains(kWhole, name)) {
      if (whole_) {
        raise(ErrorKind::kUnsupported, "{}: \"{}\" beside \"{}\" cannot be enforced",
              place(pointer), name, *whole_);
      }
      whole_ = name;
    } else if (const KindKeyword* keyword = find_kind_keyword(name)) {
      if (name == "uniqueItems" && value.as_bool(place(pointer + "/uniqueItems"))) {
        cannot_be_enforced(name, pointer);
      }
      add_kind(kinds_, keyword->kind);
      beside = name;
    } else if (name != "type" && !contains(kAnnotations, name)) {
      cannot_be_enforced(name, pointer);
    }
  }
  const std::vector<ValueKind> types = read_types(schema, pointer);
  const bool is_list = whole_ == "const" || whole_ == "enum";
  if (!types.empty() && whole_ && !is_list) {
    beside = "type";
  }
  if (whole_ && beside) {
    raise(ErrorKind::kUnsupported, "{}: \"{}\" beside \"{}\" cannot be enforced", place(pointer),
          *beside, *whole_);
  }
  if (!types.empty()) {
    kinds_ = types;
  } else if (kinds_.empty()) {
    kinds_.assign(kAllKinds.begin(), kAllKinds.end());
  }
}

std::vector<ValueKind> read_types(JsonView schema, const std::string& pointer) {
  const auto type = schema.find("type");
  if (!type) {
    return {};
  }
  const std::string where = place(pointer + "/type");
  const std::vector<JsonView> names =
      type->is_array() ? type->elements(where) : std::vector<JsonView>{*type};
  std::vector<ValueKind> kinds;
  for (const JsonView& name : names) {
    const std::string_view text = name.as_string(where);
    const auto* const at = std::find_if(kKindNames.begin(), kKindNames.end(),
                                        [&](const KindName& k) { return k.name == text; });
    if (at == kKindNames.end()) {
      bad_input("{}: there is no type \"{}\"", where, text);
    }
    add_kind(kinds, at->kind);
  }
  if (kinds.empty()) {
    bad_input("{}: an empty list of types", where);
  }
  if (std::find(kinds.begin(), kinds.end(), ValueKind::kNumber) != kinds.end()) {
    kinds.erase(std::remove(kinds.begin(), kinds.end(), ValueKind::kInteger), kinds.end());
  }
  return kinds;
}

bool is_of_kind(JsonView value, const std::vector<ValueKind>& kinds) {
  const auto has = [&](ValueKind kind) {
    return std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
  };
  switch (value.kind()) {
    case JsonView::Kind::kNull:
      return has(ValueKind::kNull);
    case JsonView::Kind::kBool:
      return has(ValueKind::kBoolean);
    case JsonView::Kind::kInt:
      return has(ValueKind::kInteger) || has(ValueKind::kNumber);
    case JsonView::Kind::kDouble:
      return has(ValueKind::kNumber);
    case JsonView::Kind::kString:
      return has(ValueKind::kString);
    case JsonView::Kind::kArray:
      return has(ValueKind::kArray);
    case JsonView::Kind::kObject:
      return has(ValueKind::kObject);
  }
  return false;
}

std::vector<JsonView> listed_values(JsonView schema, const std::string& pointer) {
  std::vector<JsonView> values;
  if (const auto constant = schema.find("const")) {
    values = {*constant};
  } else if (const auto list = schema.find("enum")) {
    values = list->elements(place(pointer + "/enum"));
  }
  const std::vector<ValueKind> kinds = read_types(schema, pointer);
  if (!kinds.empty()) {
    values.erase(std::remove_if(values.begin(), values.end(),
                                [&](const JsonView& value) { return !is_of_kind(value, kinds); }),
                 values.end());
  }
  return values;
}

std::pair<JsonView, std::string> resolve_reference(JsonView root, JsonView reference,
                                                   const std::string& pointer) {
  const std::string_view text = reference.as_string(place(pointer));
  if (text.empty() || text[0] != '#' || (text.size() > 1 && text[1] != '/')) {
    raise(ErrorKind::kUnsupported,
          "{}: reference \"{}\" is not read, expected one inside the schema (#/$defs/...)",
          place(pointer), text);
  }
  JsonView target = root;
  std::string_view rest = text.substr(1);
  while (!rest.empty()) {
    rest.remove_prefix(1);  // the slash
    const size_t end = std::min(rest.find('/'), rest.size());
    const auto next = find_part(target, unescape(rest.substr(0, end), pointer));
    if (!next) {
      bad_input("{}: reference \"{}\" leads to nothing", place(pointer), text);
    }
    target = *next;
    rest.remove_prefix(end);
  }
  return {target, std::string(text.substr(1))};
}

std::string_view pattern_of_format(std::string_view format, const std::string& pointer) {
  const auto* const at = std::find_if(kFormats.begin(), kFormats.end(),
                                      [&](const Format& f) { return f.name == format; });
  if (at == kFormats.end()) {
    raise(ErrorKind::kUnsupported, "{}: format \"{}\" cannot be enforced", place(pointer), format);
  }
  return at->pattern;
}

}  // namespace mm::grammar
