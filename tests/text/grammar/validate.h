/// Whether a JSON text is valid, by a validator that knows nothing of grammars.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validator.hpp>

namespace mm::testing {

/// Draft 7, which the validator reads, has other names for elements by place.
inline nlohmann::ordered_json as_draft_7(nlohmann::ordered_json schema) {
  if (schema.is_object() && schema.contains("prefixItems")) {
    if (schema.contains("items")) {
      schema["additionalItems"] = schema["items"];
    }
    schema["items"] = schema["prefixItems"];
    schema.erase("prefixItems");
  }
  if (schema.is_structured()) {
    for (nlohmann::ordered_json& part : schema) {
      part = as_draft_7(part);
    }
  }
  return schema;
}

inline bool is_valid(const nlohmann::ordered_json& schema, const std::string& text) {
  const auto document = nlohmann::json::parse(as_draft_7(schema).dump());
  const auto value = nlohmann::json::parse(text);
  valijson::Schema parsed;
  valijson::SchemaParser().populateSchema(valijson::adapters::NlohmannJsonAdapter(document),
                                          parsed);
  valijson::Validator validator;
  return validator.validate(parsed, valijson::adapters::NlohmannJsonAdapter(value), nullptr);
}

}  // namespace mm::testing
