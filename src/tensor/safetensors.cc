#include "tensor/safetensors.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <unordered_set>

#include "base/check.h"
#include "base/json.h"
#include "base/json_value.h"

namespace mm {
namespace {

constexpr size_t kLengthBytes = 8;
constexpr size_t kAlignment = 64;
// The format's own limit; a header of a real checkpoint is a few hundred kilobytes.
constexpr uint64_t kMaxHeader = 100'000'000;
constexpr std::string_view kMetadataKey = "__metadata__";

// Types of the format that this engine has no use for: valid files, so another kind of error.
constexpr std::string_view kForeignTypes[] = {"F8_E5M2", "F8_E8M0", "F6_E2M3", "F6_E3M2", "F4",
                                              "U16",     "U32",     "U64",     "C64"};

uint64_t little_endian_u64(const std::byte* bytes) {
  uint64_t value = 0;
  for (size_t i = kLengthBytes; i-- > 0;) value = value << 8 | static_cast<uint64_t>(bytes[i]);
  return value;
}

std::string shape_text(std::span<const int64_t> shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// One file while it is parsed: what errors need to name, and where the data lies.
struct Parser {
  std::span<const std::byte> file;
  std::string_view source;
  size_t data_begin = 0;

  int64_t data_size() const { return static_cast<int64_t>(file.size() - data_begin); }
  std::string_view header_text();
  DType read_dtype(const std::string& name, const JsonView& entry) const;
  std::vector<int64_t> read_shape(const std::string& name, const JsonView& entry) const;
  std::pair<int64_t, int64_t> read_range(const std::string& name, const JsonView& entry) const;
  StoredTensor read_tensor(std::string_view name, const JsonView& entry) const;
  void check_layout(std::vector<StoredTensor>& tensors) const;
};

std::string_view Parser::header_text() {
  if (file.size() < kLengthBytes)
    bad_input("{}: {} bytes, expected at least the 8 of a safetensors header length", source,
              file.size());
  const uint64_t length = little_endian_u64(file.data());
  if (length > kMaxHeader)
    bad_input("{}: header length {}, expected at most {}; not a safetensors file?", source, length,
              kMaxHeader);
  if (length > file.size() - kLengthBytes)
    bad_input("{}: header length {}, but only {} bytes follow; the file is truncated", source,
              length, file.size() - kLengthBytes);
  data_begin = kLengthBytes + static_cast<size_t>(length);
  return {reinterpret_cast<const char*>(file.data()) + kLengthBytes, static_cast<size_t>(length)};
}

std::optional<JsonView> required(const Parser& parser, const std::string& name,
                                 const JsonView& entry, const char* key) {
  if (!entry.is_object())
    bad_input("{}: tensor {}: expected an object with dtype, shape and data_offsets, found {}",
              parser.source, name, to_string(entry.kind()));
  std::optional<JsonView> value = entry.find(key);
  if (!value)
    bad_input("{}: tensor {}: {} is missing", parser.source, name, key);
  return value;
}

DType Parser::read_dtype(const std::string& name, const JsonView& entry) const {
  const std::string_view text = required(*this, name, entry, "dtype")
                                    ->as_string(fmt::format("{}: tensor {}: dtype", source, name));
  DType dtype{};
  if (parse_dtype(text, &dtype))
    return dtype;
  const bool foreign = std::find(std::begin(kForeignTypes), std::end(kForeignTypes), text) !=
                       std::end(kForeignTypes);
  raise(foreign ? ErrorKind::kUnsupported : ErrorKind::kBadInput,
        "{}: tensor {}: dtype {}, expected one of F64, F32, BF16, F16, F8_E4M3, I64, I32, I16, I8, "
        "U8, BOOL",
        source, name, text);
}

std::vector<int64_t> Parser::read_shape(const std::string& name, const JsonView& entry) const {
  const std::string what = fmt::format("{}: tensor {}: shape", source, name);
  std::vector<int64_t> shape;
  for (const JsonView& axis : required(*this, name, entry, "shape")->elements(what)) {
    shape.push_back(axis.as_int(what));
    if (shape.back() < 0)
      bad_input("{} {}: expected no negative size", what, shape_text(shape));
  }
  if (shape.size() > kMaxRank)
    raise(ErrorKind::kUnsupported, "{} has {} axes, expected at most {}", what, shape.size(),
          kMaxRank);
  return shape;
}

std::pair<int64_t, int64_t> Parser::read_range(const std::string& name,
                                               const JsonView& entry) const {
  const std::string what = fmt::format("{}: tensor {}: data_offsets", source, name);
  const std::vector<JsonView> ends = required(*this, name, entry, "data_offsets")->elements(what);
  if (ends.size() != 2)
    bad_input("{}: expected [begin, end], found {} values", what, ends.size());
  const int64_t begin = ends[0].as_int(what);
  const int64_t end = ends[1].as_int(what);
  if (begin < 0 || end < begin)
    bad_input("{} [{}, {}]: expected 0 <= begin <= end", what, begin, end);
  if (end > data_size())
    bad_input("{} [{}, {}] pass the end of the data ({} bytes); the file is truncated", what, begin,
              end, data_size());
  return {begin, end};
}

// Bytes of a tensor; empty when the product does not fit, which no file can hold.
std::optional<int64_t> checked_bytes(std::span<const int64_t> shape, DType dtype) {
  int64_t bytes = size_of(dtype);
  for (const int64_t axis : shape) {
    if (__builtin_mul_overflow(bytes, axis, &bytes))
      return std::nullopt;
  }
  return bytes;
}

TensorView make_view(const std::byte* data, DType dtype, std::span<const int64_t> shape) {
  TensorView view;
  // Views of read-only memory share the type of writable ones (tensor.h).
  view.data = const_cast<std::byte*>(data);
  view.dtype = dtype;
  view.rank = static_cast<int>(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    view.shape[i] = shape[i];
    view.strides[i] = stride;
    // Only an empty tensor's strides can overflow, and they address nothing.
    if (__builtin_mul_overflow(stride, std::max<int64_t>(shape[i], 1), &stride))
      stride = 0;
  }
  return view;
}

StoredTensor Parser::read_tensor(std::string_view key, const JsonView& entry) const {
  StoredTensor tensor;
  tensor.name = key;
  const DType dtype = read_dtype(tensor.name, entry);
  const std::vector<int64_t> shape = read_shape(tensor.name, entry);
  std::tie(tensor.begin, tensor.end) = read_range(tensor.name, entry);
  const std::optional<int64_t> bytes = checked_bytes(shape, dtype);
  if (!bytes)
    bad_input("{}: tensor {}: {} {} has more bytes than any file", source, tensor.name,
              to_string(dtype), shape_text(shape));
  if (*bytes != tensor.end - tensor.begin)
    bad_input("{}: tensor {}: {} {} needs {} bytes, found {} in data_offsets [{}, {}]", source,
              tensor.name, to_string(dtype), shape_text(shape), *bytes, tensor.end - tensor.begin,
              tensor.begin, tensor.end);
  const size_t offset = data_begin + static_cast<size_t>(tensor.begin);
  if (*bytes > 0 && offset % static_cast<size_t>(size_of(dtype)) != 0)
    raise(ErrorKind::kUnsupported,
          "{}: tensor {}: its data starts at byte {}, expected a multiple of {} for {}; save the "
          "file again with a current safetensors library, which aligns data",
          source, tensor.name, offset, size_of(dtype), to_string(dtype));
  tensor.view = make_view(file.data() + offset, dtype, shape);
  return tensor;
}

// The ranges must tile the data exactly: in order, no overlap, no gap, nothing after the last.
void Parser::check_layout(std::vector<StoredTensor>& tensors) const {
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  int64_t expected = 0;
  const StoredTensor* previous = nullptr;
  for (const StoredTensor& tensor : tensors) {
    if (tensor.begin < expected)
      bad_input("{}: tensor {} [{}, {}] overlaps tensor {} [{}, {}]", source, tensor.name,
                tensor.begin, tensor.end, previous->name, previous->begin, previous->end);
    if (tensor.begin > expected)
      bad_input("{}: bytes [{}, {}] before tensor {} belong to no tensor", source, expected,
                tensor.begin, tensor.name);
    expected = tensor.end;
    previous = &tensor;
  }
  if (expected != data_size())
    bad_input("{}: {} bytes of data, expected {} by the header; the rest belongs to no tensor",
              source, data_size(), expected);
}

SafetensorsMetadata read_metadata(const JsonView& value, std::string_view source) {
  SafetensorsMetadata metadata;
  const std::string what = fmt::format("{}: {}", source, kMetadataKey);
  for (const auto& [key, text] : value.members(what))
    metadata.emplace_back(key, text.as_string(fmt::format("{}: {}", what, key)));
  return metadata;
}

}  // namespace

SafetensorsContents parse_safetensors(std::span<const std::byte> file, std::string_view source) {
  Parser parser{file, source};
  const std::string_view text = parser.header_text();
  const JsonDocument header = JsonDocument::parse(text, fmt::format("{}: header", source));
  SafetensorsContents contents;
  std::unordered_set<std::string_view> names;
  for (const auto& [name, value] : header.root().members(fmt::format("{}: header", source))) {
    if (!names.insert(name).second)
      bad_input("{}: tensor {} is listed twice in the header", source, name);
    if (name == kMetadataKey) {
      contents.metadata = read_metadata(value, source);
    } else {
      contents.tensors.push_back(parser.read_tensor(name, value));
    }
  }
  parser.check_layout(contents.tensors);
  return contents;
}

SafetensorsFile::SafetensorsFile(const std::string& path)
    : file_(path), contents_(parse_safetensors(file_.bytes(), path)) {
  for (const StoredTensor& tensor : contents_.tensors) by_name_.emplace(tensor.name, &tensor);
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

const StoredTensor& SafetensorsFile::get(std::string_view name) const {
  const StoredTensor* tensor = find(name);
  if (tensor == nullptr)
    bad_input("{}: tensor {} is missing", path(), name);
  return *tensor;
}

int64_t TensorSpec::bytes() const {
  const std::optional<int64_t> bytes = checked_bytes(shape, dtype);
  MM_CHECK(bytes, "{}: {} {}", name, to_string(dtype), shape_text(shape));
  return *bytes;
}

SafetensorsWriter::SafetensorsWriter(const std::string& path, std::vector<TensorSpec> tensors,
                                     const SafetensorsMetadata& metadata)
    : file_(path) {
  std::sort(tensors.begin(), tensors.end(), [](const TensorSpec& a, const TensorSpec& b) {
    return std::pair(-size_of(a.dtype), std::string_view(a.name)) <
           std::pair(-size_of(b.dtype), std::string_view(b.name));
  });
  Json header = Json::object();
  for (const auto& [key, value] : metadata) header[std::string(kMetadataKey)][key] = value;
  int64_t offset = 0;
  slots_.reserve(tensors.size());
  for (TensorSpec& spec : tensors) {
    const int64_t end = offset + spec.bytes();
    header[spec.name] = {
        {"dtype", to_string(spec.dtype)}, {"shape", spec.shape}, {"data_offsets", {offset, end}}};
    slots_.push_back({std::move(spec), offset});
    const bool fresh = by_name_.emplace(slots_.back().spec.name, slots_.size() - 1).second;
    MM_CHECK(fresh, "{}: tensor {} is declared twice", path, slots_.back().spec.name);
    offset = end;
  }
  std::string text = header.dump();
  // Padding the header makes the data start at a cache line: every type is aligned, and so is every
  // tensor as long as those before it are whole lines.
  text.append((kAlignment - (kLengthBytes + text.size()) % kAlignment) % kAlignment, ' ');
  std::array<std::byte, kLengthBytes> length{};
  for (size_t i = 0; i < kLengthBytes; ++i)
    length[i] = static_cast<std::byte>(text.size() >> (8 * i) & 0xff);
  file_.write_at(0, length);
  file_.write_at(kLengthBytes, std::as_bytes(std::span(text)));
  for (Slot& slot : slots_) slot.offset += static_cast<int64_t>(kLengthBytes + text.size());
}

SafetensorsWriter::Slot& SafetensorsWriter::slot(std::string_view name) {
  const auto found = by_name_.find(name);
  MM_CHECK(found != by_name_.end(), "{}: tensor {} was not declared", file_.path(), name);
  return slots_[found->second];
}

void SafetensorsWriter::append(std::string_view name, std::span<const std::byte> bytes) {
  Slot& target = slot(name);
  const int64_t size = static_cast<int64_t>(bytes.size());
  MM_CHECK(target.written + size <= target.spec.bytes(), "{}: tensor {} is {} bytes", file_.path(),
           name, target.spec.bytes());
  file_.write_at(target.offset + target.written, bytes);
  target.written += size;
}

void SafetensorsWriter::write(std::string_view name, const TensorView& tensor) {
  const TensorSpec& spec = slot(name).spec;
  const std::span<const int64_t> shape(tensor.shape.data(), static_cast<size_t>(tensor.rank));
  MM_CHECK(tensor.is_contiguous() && tensor.dtype == spec.dtype &&
               std::equal(shape.begin(), shape.end(), spec.shape.begin(), spec.shape.end()),
           "{}: tensor {} is {}, declared {} {}", file_.path(), name, to_string(tensor),
           to_string(spec.dtype), shape_text(spec.shape));
  append(name, {static_cast<const std::byte*>(tensor.data), static_cast<size_t>(tensor.bytes())});
}

void SafetensorsWriter::finish() {
  for (const Slot& slot : slots_)
    MM_CHECK(slot.written == slot.spec.bytes(), "{}: tensor {}: {} of {} bytes written",
             file_.path(), slot.spec.name, slot.written, slot.spec.bytes());
  file_.finish();
}

void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, TensorView>>& tensors,
                       const SafetensorsMetadata& metadata) {
  std::vector<TensorSpec> specs;
  for (const auto& [name, view] : tensors)
    specs.push_back({name, view.dtype, {view.shape.begin(), view.shape.begin() + view.rank}});
  SafetensorsWriter writer(path, std::move(specs), metadata);
  for (const auto& [name, view] : tensors) writer.write(name, view);
  writer.finish();
}

}  // namespace mm
