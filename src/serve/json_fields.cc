#include "serve/json_fields.h"

#include <fmt/format.h>

#include "base/error.h"
#include "serve/api_error.h"

namespace mm {

namespace {

/// Enough of a value to recognise it in an error.
std::string excerpt(const JsonView& value) {
  constexpr size_t kMost = 60;
  if (value.kind() == JsonView::Kind::kArray || value.kind() == JsonView::Kind::kObject) {
    return to_string(value.kind());
  }
  const std::string text = value.dump();
  return text.size() <= kMost
             ? text
             : fmt::format("a {} of {} bytes", to_string(value.kind()), text.size());
}

}  // namespace

JsonFields::JsonFields(JsonView object, std::string path)
    : object_(object), path_(std::move(path)) {
  if (object_.kind() != JsonView::Kind::kObject) {
    throw field_error(path_, fmt::format("{} is {}, expected an object",
                                         path_.empty() ? "the body" : path_, excerpt(object_)));
  }
}

std::string JsonFields::path_of(std::string_view name) const {
  return path_.empty() ? std::string(name) : fmt::format("{}.{}", path_, name);
}

std::optional<JsonView> JsonFields::find(std::string_view name) const {
  const std::optional<JsonView> value = object_.find(name);
  return value && !value->is_null() ? value : std::nullopt;
}

JsonView JsonFields::required(std::string_view name) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    throw field_error(path_of(name), fmt::format("{} is missing", path_of(name)));
  }
  return *value;
}

void JsonFields::refuse(std::string_view name, std::string_view expected) const {
  const std::optional<JsonView> value = object_.find(name);
  throw field_error(path_of(name), fmt::format("{} is {}, expected {}", path_of(name),
                                               value ? excerpt(*value) : "missing", expected));
}

std::optional<bool> JsonFields::boolean(std::string_view name) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    return std::nullopt;
  }
  if (!value->is_bool()) {
    refuse(name, "true or false");
  }
  return value->as_bool(name);
}

std::optional<int64_t> JsonFields::integer(std::string_view name, int64_t least,
                                           int64_t most) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    return std::nullopt;
  }
  int64_t result = 0;
  bool is_valid = value->is_int();
  if (is_valid) {
    try {
      result = value->as_int(name);
    } catch (const Error&) {
      is_valid = false;  // over 64 bits
    }
  }
  if (!is_valid || result < least || result > most) {
    refuse(name, fmt::format("a whole number from {} to {}", least, most));
  }
  return result;
}

std::optional<double> JsonFields::number(std::string_view name, double least, double most) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    return std::nullopt;
  }
  const double result = value->is_number() ? value->as_double(name) : 0;
  if (!value->is_number() || !(result >= least && result <= most)) {
    refuse(name, fmt::format("a number from {} to {}", least, most));
  }
  return result;
}

std::optional<std::string> JsonFields::text(std::string_view name) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    return std::nullopt;
  }
  if (!value->is_string()) {
    refuse(name, "a string");
  }
  return std::string(value->as_string(name));
}

std::optional<std::vector<JsonView>> JsonFields::list(std::string_view name) const {
  const std::optional<JsonView> value = find(name);
  if (!value) {
    return std::nullopt;
  }
  if (!value->is_array()) {
    refuse(name, "an array");
  }
  return value->elements(name);
}

Json to_json(const JsonView& value) {
  if (value.is_object()) {
    Json::object_t object;
    for (const auto& [key, member] : value.members("")) {
      object.emplace_back(std::string(key), to_json(member));
    }
    return object;
  }
  if (value.is_array()) {
    Json array = Json::array();
    for (const JsonView& element : value.elements("")) {
      array.push_back(to_json(element));
    }
    return array;
  }
  return value.is_string() ? Json(value.as_string("")) : Json::parse(value.dump());
}

JsonDocument parse_body(std::string_view body) {
  try {
    JsonDocument document = JsonDocument::parse(body, "the body");
    JsonFields check(document.root());
    return document;
  } catch (const Error& error) {
    throw ApiError(400, "invalid_request_error", error.what(), "", "invalid_json");
  }
}

std::vector<int32_t> read_ids(const std::vector<JsonView>& elements, const std::string& path,
                              int64_t limit) {
  std::vector<int32_t> ids;
  ids.reserve(elements.size());
  for (const JsonView& element : elements) {
    const bool is_valid = element.is_int() && element.dump().size() < 12 &&
                          element.as_int(path) >= 0 && element.as_int(path) < limit;
    if (!is_valid) {
      throw field_error(path, fmt::format("{}[{}] is {}, expected a token id from 0 to {}", path,
                                          ids.size(), excerpt(element), limit - 1));
    }
    ids.push_back(static_cast<int32_t>(element.as_int(path)));
  }
  return ids;
}

}  // namespace mm
