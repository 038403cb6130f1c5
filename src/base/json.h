/// Reading JSON. The parser behind it is simdjson, which no other file may include.
///
/// Goals: read multi-megabyte vocabularies in milliseconds; errors that name the place.
/// Non-goals: building JSON (json_value.h), comments, NaN.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mm {

class JsonDocument;

/// A value inside a JsonDocument: a cheap copyable handle, valid while the document lives.
class JsonView {
 public:
  enum class Kind { kNull, kBool, kInt, kDouble, kString, kArray, kObject };

  Kind kind() const;
  bool is_null() const { return kind() == Kind::kNull; }
  bool is_bool() const { return kind() == Kind::kBool; }
  bool is_int() const { return kind() == Kind::kInt; }
  bool is_number() const { return kind() == Kind::kInt || kind() == Kind::kDouble; }
  bool is_string() const { return kind() == Kind::kString; }
  bool is_array() const { return kind() == Kind::kArray; }
  bool is_object() const { return kind() == Kind::kObject; }

  /// The value as the asked type. `what` names it in the error, e.g. "config.json: hidden_size".
  /// Throws kBadInput with expected and found kind. Integers over INT64_MAX are refused.
  bool as_bool(std::string_view what) const;
  int64_t as_int(std::string_view what) const;
  double as_double(std::string_view what) const;  ///< also accepts integers
  std::string_view as_string(std::string_view what) const;

  /// Elements of an array. Throws kBadInput when it is not one.
  std::vector<JsonView> elements(std::string_view what) const;
  /// Members of an object in file order, duplicates included.
  std::vector<std::pair<std::string_view, JsonView>> members(std::string_view what) const;
  /// First member with this key; empty when absent or when this is not an object.
  std::optional<JsonView> find(std::string_view key) const;

  /// The value as compact JSON text.
  std::string dump() const;

 private:
  friend class JsonDocument;
  alignas(8) std::array<std::byte, 16> element_;  // simdjson::dom::element
};

const char* to_string(JsonView::Kind kind);

/// A parsed text; owns everything its views point to.
class JsonDocument {
 public:
  /// Parses UTF-8 text. `source` names it in errors (a path or "request body").
  /// Throws kBadInput on bad syntax, invalid UTF-8, nesting over 256 or trailing data.
  static JsonDocument parse(std::string_view text, std::string_view source);
  /// Reads and parses a file. Throws kNotFound or kIo besides.
  static JsonDocument read(const std::string& path);

  JsonDocument(JsonDocument&&) noexcept;
  JsonDocument& operator=(JsonDocument&&) noexcept;
  ~JsonDocument();

  JsonView root() const { return root_; }

 private:
  JsonDocument();
  struct Impl;
  std::unique_ptr<Impl> impl_;
  JsonView root_;
};

}  // namespace mm
