#include "base/json.h"

#include <simdjson.h>

#include <bit>
#include <cstring>
#include <sstream>

#include "base/error.h"
#include "base/mapped_file.h"

namespace mm {
namespace {

using Element = simdjson::dom::element;
static_assert(sizeof(Element) == 16 && alignof(Element) <= 8);
static_assert(std::is_trivially_copyable_v<Element>);

constexpr size_t kMaxDepth = 256;

Element unwrap(const std::array<std::byte, 16>& bytes) {
  return std::bit_cast<Element>(bytes);
}

[[noreturn]] void wrong_kind(std::string_view what, const char* expected, JsonView::Kind found) {
  bad_input("{}: expected {}, found {}", what, expected, to_string(found));
}

}  // namespace

const char* to_string(JsonView::Kind kind) {
  switch (kind) {
    case JsonView::Kind::kNull:
      return "null";
    case JsonView::Kind::kBool:
      return "a boolean";
    case JsonView::Kind::kInt:
      return "an integer";
    case JsonView::Kind::kDouble:
      return "a number";
    case JsonView::Kind::kString:
      return "a string";
    case JsonView::Kind::kArray:
      return "an array";
    case JsonView::Kind::kObject:
      return "an object";
  }
  return "unknown";
}

JsonView::Kind JsonView::kind() const {
  switch (unwrap(element_).type()) {
    case simdjson::dom::element_type::ARRAY:
      return Kind::kArray;
    case simdjson::dom::element_type::OBJECT:
      return Kind::kObject;
    case simdjson::dom::element_type::STRING:
      return Kind::kString;
    case simdjson::dom::element_type::BOOL:
      return Kind::kBool;
    case simdjson::dom::element_type::NULL_VALUE:
      return Kind::kNull;
    case simdjson::dom::element_type::INT64:
      return Kind::kInt;
    case simdjson::dom::element_type::UINT64:  // only for values over INT64_MAX
    case simdjson::dom::element_type::DOUBLE:
      return Kind::kDouble;
  }
  return Kind::kNull;
}

bool JsonView::as_bool(std::string_view what) const {
  bool value = false;
  if (unwrap(element_).get_bool().get(value) != simdjson::SUCCESS)
    wrong_kind(what, "a boolean", kind());
  return value;
}

int64_t JsonView::as_int(std::string_view what) const {
  int64_t value = 0;
  if (kind() != Kind::kInt || unwrap(element_).get_int64().get(value) != simdjson::SUCCESS)
    wrong_kind(what, "an integer", kind());
  return value;
}

double JsonView::as_double(std::string_view what) const {
  double value = 0;
  if (unwrap(element_).get_double().get(value) != simdjson::SUCCESS)
    wrong_kind(what, "a number", kind());
  return value;
}

std::string_view JsonView::as_string(std::string_view what) const {
  std::string_view value;
  if (unwrap(element_).get_string().get(value) != simdjson::SUCCESS)
    wrong_kind(what, "a string", kind());
  return value;
}

std::vector<JsonView> JsonView::elements(std::string_view what) const {
  simdjson::dom::array array;
  if (unwrap(element_).get_array().get(array) != simdjson::SUCCESS)
    wrong_kind(what, "an array", kind());
  std::vector<JsonView> result;
  result.reserve(array.size());
  for (Element element : array) {
    JsonView view;
    view.element_ = std::bit_cast<std::array<std::byte, 16>>(element);
    result.push_back(view);
  }
  return result;
}

std::vector<std::pair<std::string_view, JsonView>> JsonView::members(std::string_view what) const {
  simdjson::dom::object object;
  if (unwrap(element_).get_object().get(object) != simdjson::SUCCESS)
    wrong_kind(what, "an object", kind());
  std::vector<std::pair<std::string_view, JsonView>> result;
  result.reserve(object.size());
  for (simdjson::dom::key_value_pair field : object) {
    JsonView view;
    view.element_ = std::bit_cast<std::array<std::byte, 16>>(field.value);
    result.emplace_back(field.key, view);
  }
  return result;
}

std::optional<JsonView> JsonView::find(std::string_view key) const {
  simdjson::dom::object object;
  if (unwrap(element_).get_object().get(object) != simdjson::SUCCESS)
    return std::nullopt;
  Element value;
  if (object.at_key(key).get(value) != simdjson::SUCCESS)
    return std::nullopt;
  JsonView view;
  view.element_ = std::bit_cast<std::array<std::byte, 16>>(value);
  return view;
}

std::string JsonView::dump() const {
  return simdjson::minify(unwrap(element_));
}

struct JsonDocument::Impl {
  simdjson::dom::parser parser;
};

JsonDocument::JsonDocument() : impl_(std::make_unique<Impl>()) {}
JsonDocument::JsonDocument(JsonDocument&&) noexcept = default;
JsonDocument& JsonDocument::operator=(JsonDocument&&) noexcept = default;
JsonDocument::~JsonDocument() = default;

JsonDocument JsonDocument::parse(std::string_view text, std::string_view source) {
  if (text.empty())
    bad_input("{}: empty, expected JSON", source);
  JsonDocument document;
  // simdjson reads past the end of its input, so it always parses a padded copy.
  simdjson::padded_string padded(text);
  simdjson::dom::parser& parser = document.impl_->parser;
  simdjson::error_code error = parser.allocate(padded.size(), kMaxDepth);
  Element root;
  if (error == simdjson::SUCCESS)
    error = parser.parse(padded).get(root);
  if (error != simdjson::SUCCESS)
    bad_input("{}: not valid JSON: {}", source, simdjson::error_message(error));
  document.root_.element_ = std::bit_cast<std::array<std::byte, 16>>(root);
  return document;
}

JsonDocument JsonDocument::read(const std::string& path) {
  const MappedFile file(path);
  return parse(file.text(), path);
}

}  // namespace mm
