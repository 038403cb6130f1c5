#include "serve/answer_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "serve/api_error.h"

namespace mm {

namespace {

using Kind = AnswerFormat::Kind;

/// Schemas of hundreds of properties fit; compiling anything longer would keep others waiting.
constexpr size_t kMostText = 256 << 10;
constexpr size_t kMostName = 64;

/// `fields` holds name and schema; `param` is the field that OpenAI names when the schema is wrong.
AnswerFormat read_schema(const JsonFields& fields, const char* param) {
  const JsonView schema = fields.required("schema");
  if (!schema.is_object() && !schema.is_bool()) {
    fields.refuse("schema", "a JSON schema");
  }
  fields.boolean("strict");  // either way the schema is kept
  const std::string name = fields.text("name").value_or("");
  if (name.size() > kMostName) {
    fields.refuse("name", fmt::format("at most {} bytes", kMostName));
  }
  AnswerFormat format{Kind::kJsonSchema, schema.dump(), param, fields.path_of("schema")};
  if (!name.empty()) {
    format.title += fmt::format(" ('{}')", name);
  }
  return format;
}

/// The format that `type` of `fields` names. `schema_in`: the member that holds the schema; null:
/// `fields` itself does.
AnswerFormat read_type(const JsonFields& fields, const char* schema_in, const char* param) {
  fields.required("type");
  const std::string type = *fields.text("type");
  if (type == "text") {
    return {};
  }
  if (type == "json_object") {
    if (fields.find("schema")) {  // llama.cpp's form
      return read_schema(fields, param);
    }
    return {Kind::kJsonObject, "", param, fields.path_of("type")};
  }
  if (type != "json_schema") {
    fields.refuse("type", "\"text\", \"json_object\" or \"json_schema\"");
  }
  if (schema_in == nullptr) {
    return read_schema(fields, param);
  }
  return read_schema(JsonFields(fields.required(schema_in), fields.path_of(schema_in)), param);
}

/// `format`, or the grammar that the body has instead.
AnswerFormat or_grammar(const JsonFields& body, AnswerFormat format) {
  const std::optional<std::string> grammar = body.text("grammar");
  if (grammar && !grammar->empty()) {
    if (format.kind != Kind::kAny) {
      throw field_error(
          "grammar", fmt::format("grammar is given beside {}, expected one of them", format.title));
    }
    format = {Kind::kGrammar, *grammar, "grammar", "grammar"};
  }
  check_size(format);
  return format;
}

}  // namespace

AnswerFormat read_answer_format(const JsonFields& body) {
  AnswerFormat format;
  if (const std::optional<JsonView> value = body.find("response_format")) {
    format = read_type(JsonFields(*value, "response_format"), "json_schema", "response_format");
  }
  return or_grammar(body, std::move(format));
}

AnswerFormat read_text_format(const JsonFields& body) {
  AnswerFormat format;
  const std::optional<JsonView> text = body.find("text");
  const std::optional<JsonView> value =
      text ? JsonFields(*text, "text").find("format") : std::nullopt;
  if (value) {
    format = read_type(JsonFields(*value, "text.format"), nullptr, "text.format.schema");
  }
  return or_grammar(body, std::move(format));
}

void check_size(const AnswerFormat& format) {
  if (format.text.size() > kMostText) {
    throw field_error(format.param, fmt::format("{} has {} bytes, expected at most {}",
                                                format.title, format.text.size(), kMostText));
  }
}

void prepare_for_format(const AnswerFormat& format, bool has_tools, GenerationRequest& request) {
  if (format.kind == Kind::kAny) {
    return;
  }
  if (has_tools) {
    throw ApiError(400, "invalid_request_error",
                   fmt::format("{} is given beside tools, whose calls it would rule out; expected "
                               "one of them, or tool_choice \"none\"",
                               format.title),
                   format.param, "unsupported");
  }
  constexpr float kStrongest = -100;
  for (auto& [id, bias] : request.sampling.logit_bias) {
    bias = std::max(bias, kStrongest);
  }
}

}  // namespace mm
