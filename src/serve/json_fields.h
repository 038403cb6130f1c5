/// Fields of a request's body, each checked; what is wrong is refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/json_value.h"

namespace mm {

/// Reads members of one object. null counts as absent; members nobody asks for are left alone.
/// Every function throws ApiError 400 that names the field, what was expected and what was found.
class JsonFields {
 public:
  /// `path` names the object in errors: "" for the body, "messages[0]" for a part of it.
  explicit JsonFields(JsonView object, std::string path = "");

  std::optional<JsonView> find(std::string_view name) const;
  JsonView required(std::string_view name) const;

  std::optional<bool> boolean(std::string_view name) const;
  std::optional<int64_t> integer(std::string_view name, int64_t least, int64_t most) const;
  std::optional<double> number(std::string_view name, double least, double most) const;
  std::optional<std::string> text(std::string_view name) const;
  std::optional<std::vector<JsonView>> list(std::string_view name) const;

  /// The field's place in the body: "messages[0].role".
  std::string path_of(std::string_view name) const;
  /// Throws: the field is not what it should be.
  [[noreturn]] void refuse(std::string_view name, std::string_view expected) const;

 private:
  JsonView object_;
  std::string path_;
};

/// The same value to keep and change. Takes time in proportion to its size; nlohmann's own parser
/// compares each key of an object with all before it.
Json to_json(const JsonView& value);

/// Parses a body that must be an object. Throws ApiError 400.
JsonDocument parse_body(std::string_view body);

/// Integers of an array, e.g. token ids, each in [0, limit). Throws ApiError 400.
std::vector<int32_t> read_ids(const std::vector<JsonView>& elements, const std::string& path,
                              int64_t limit);

}  // namespace mm
