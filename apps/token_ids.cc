#include "token_ids.h"

#include <charconv>
#include <cstring>
#include <filesystem>
#include <limits>
#include <optional>
#include <regex>

#include "base/error.h"
#include "base/json.h"
#include "base/mapped_file.h"
#include "tensor/safetensors.h"

namespace mm::cli {

namespace {

int32_t checked_id(int64_t id, size_t position, std::string_view source) {
  if (id < std::numeric_limits<int32_t>::min() || id > std::numeric_limits<int32_t>::max()) {
    bad_input("{}: id {} at position {} does not fit 32 bits", source, id, position);
  }
  return static_cast<int32_t>(id);
}

/// Ids of raw little-endian integers, which need not be aligned.
template <typename T>
std::vector<int32_t> ids_of(const void* data, size_t count, std::string_view source) {
  std::vector<int32_t> ids;
  ids.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    T value;
    std::memcpy(&value, static_cast<const char*>(data) + i * sizeof(T), sizeof(T));
    ids.push_back(checked_id(value, i, source));
  }
  return ids;
}

std::vector<int32_t> ids_of_json(JsonView array, std::string_view source) {
  std::vector<int32_t> ids;
  for (const JsonView& value : array.elements(source)) {
    const std::string what = fmt::format("{}: id at position {}", source, ids.size());
    ids.push_back(checked_id(value.as_int(what), ids.size(), source));
  }
  return ids;
}

/// The NumPy format: magic, version, header length, a Python dict as text, data.
std::vector<int32_t> parse_npy(std::string_view file, std::string_view source) {
  const auto byte = [&](size_t i) { return size_t{static_cast<unsigned char>(file[i])}; };
  if (file.size() < 12) {
    bad_input("{}: the .npy file ends inside its header", source);
  }
  const bool version_1 = byte(6) == 1;
  const size_t start = version_1 ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (version_1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > file.size() - start || length > (1 << 20)) {
    bad_input("{}: the .npy file ends inside its header of {} bytes", source, length);
  }
  const std::string header(file.substr(start, length));
  std::smatch match;
  static const std::regex kType("'descr': *'<(i[48])'");
  static const std::regex kShape("'shape': *\\( *([0-9]{1,18}) *,? *\\)");
  if (!std::regex_search(header, match, kType)) {
    raise(ErrorKind::kUnsupported, "{}: expected little-endian i32 or i64 ids, found {}", source,
          header);
  }
  const bool wide = match[1] == "i8";
  if (!std::regex_search(header, match, kShape)) {
    raise(ErrorKind::kUnsupported, "{}: expected ids along one axis, found {}", source, header);
  }
  const size_t count = std::stoull(match[1]);
  const std::string_view data = file.substr(start + length);
  if (data.size() / (wide ? 8 : 4) < count) {
    bad_input("{}: {} ids announced, but only {} bytes of data", source, count, data.size());
  }
  return wide ? ids_of<int64_t>(data.data(), count, source)
              : ids_of<int32_t>(data.data(), count, source);
}

bool is_id_tensor(const StoredTensor& tensor) {
  const DType dtype = tensor.view.dtype;
  return tensor.view.rank == 1 && (dtype == DType::kI32 || dtype == DType::kI64);
}

const StoredTensor& find_id_tensor(const SafetensorsFile& file, const std::string& name) {
  const StoredTensor* found = name.empty() ? nullptr : &file.get(name);
  if (found != nullptr) {
    if (!is_id_tensor(*found)) {
      bad_input("{}: tensor \"{}\" is {}, expected I32 or I64 along one axis", file.path(), name,
                to_string(found->view));
    }
    return *found;
  }
  for (const StoredTensor& tensor : file.tensors()) {
    if (is_id_tensor(tensor)) {
      if (found != nullptr) {
        bad_input("{}: several tensors could be ids (\"{}\", \"{}\"); name one as {}:NAME",
                  file.path(), found->name, tensor.name, file.path());
      }
      found = &tensor;
    }
  }
  if (found == nullptr) {
    bad_input("{}: no tensor of I32 or I64 along one axis, expected the token ids", file.path());
  }
  return *found;
}

std::vector<int32_t> read_safetensors_ids(const std::string& path, const std::string& name) {
  const SafetensorsFile file(path);
  const StoredTensor& tensor = find_id_tensor(file, name);
  const size_t count = static_cast<size_t>(tensor.view.numel());
  const std::string source = path + ": " + tensor.name;
  return tensor.view.dtype == DType::kI64 ? ids_of<int64_t>(tensor.view.data, count, source)
                                          : ids_of<int32_t>(tensor.view.data, count, source);
}

}  // namespace

std::vector<int32_t> parse_token_ids(std::string_view text, std::string_view source) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first != std::string_view::npos && (text[first] == '[' || text[first] == '{')) {
    const JsonDocument document = JsonDocument::parse(text, source);
    const std::optional<JsonView> member = document.root().find("ids");
    return ids_of_json(member ? *member : document.root(), source);
  }
  std::vector<int32_t> ids;
  const char* at = text.data();
  const char* end = at + text.size();
  for (;;) {
    while (at != end && (std::strchr(" \t\r\n,", *at) != nullptr && *at != '\0')) {
      ++at;
    }
    if (at == end) {
      return ids;
    }
    int64_t id = 0;
    const auto [rest, code] = std::from_chars(at, end, id);
    if (code != std::errc()) {
      bad_input("{}: no integer at byte {}, expected token ids between spaces or commas", source,
                at - text.data());
    }
    ids.push_back(checked_id(id, ids.size(), source));
    at = rest;
  }
}

std::vector<int32_t> read_token_ids(const std::string& given) {
  std::string path = given;
  std::string name;
  const size_t colon = given.rfind(':');
  if (!std::filesystem::exists(given) && colon != std::string::npos) {
    path = given.substr(0, colon);
    name = given.substr(colon + 1);
  }
  const MappedFile file(path);
  constexpr std::string_view kNpyMagic = "\x93NUMPY";
  if (name.empty() && file.text().substr(0, kNpyMagic.size()) == kNpyMagic) {
    return parse_npy(file.text(), path);
  }
  const size_t first = file.text().find_first_not_of(" \t\r\n");
  const bool text = first == std::string_view::npos || file.text()[first] == '[';
  if (name.empty() && text) {
    const JsonDocument document = JsonDocument::parse(file.text(), path);
    return ids_of_json(document.root(), path);
  }
  return read_safetensors_ids(path, name);
}

void check_token_ids(const std::vector<int32_t>& ids, int64_t vocab_size, std::string_view source) {
  if (ids.empty()) {
    bad_input("{}: no token ids, expected at least one", source);
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (ids[i] < 0 || ids[i] >= vocab_size) {
      bad_input("{}: id {} at position {} is outside the vocabulary, expected 0 to {}", source,
                ids[i], i, vocab_size - 1);
    }
  }
}

}  // namespace mm::cli
