/// The safetensors format: an 8-byte header length, a JSON header, then raw row-major data.
///
/// Goals: map and never copy; refuse every file that breaks the format, in a sentence that names
/// file, tensor, expected and found. Non-goals: types of under one byte, in-place changes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/mapped_file.h"
#include "base/output_file.h"
#include "tensor/tensor.h"

namespace mm {

/// A tensor of a file: its view and its bytes [begin, end), counted from the start of the data.
struct StoredTensor {
  std::string name;
  TensorView view;
  int64_t begin = 0;
  int64_t end = 0;
};

using SafetensorsMetadata = std::vector<std::pair<std::string, std::string>>;

/// What a header says: tensors in order of their data, and the `__metadata__` strings.
struct SafetensorsContents {
  std::vector<StoredTensor> tensors;
  SafetensorsMetadata metadata;
};

/// Reads a whole file held in memory; views point into `file`. `source` names it in errors.
/// Throws kBadInput when the format is broken: header length over the file or 100 MB, header not
/// a UTF-8 JSON object, duplicate names, unknown type, size that is not shape × type, ranges that
/// overlap, leave gaps or pass the end. Throws kUnsupported for what the format allows and this
/// engine does not read: other types, more than 5 axes, data not aligned to its type.
SafetensorsContents parse_safetensors(std::span<const std::byte> file, std::string_view source);

/// A mapped file. Errors are those of MappedFile and parse_safetensors.
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::string& path);

  /// The tensor of this name; null if there is none.
  const StoredTensor* find(std::string_view name) const;
  /// The tensor of this name. Throws kBadInput naming the file if there is none.
  const StoredTensor& get(std::string_view name) const;
  const std::vector<StoredTensor>& tensors() const { return contents_.tensors; }
  const SafetensorsMetadata& metadata() const { return contents_.metadata; }
  const std::string& path() const { return file_.path(); }

 private:
  MappedFile file_;
  SafetensorsContents contents_;
  std::unordered_map<std::string_view, const StoredTensor*> by_name_;
};

/// A tensor to be written.
struct TensorSpec {
  std::string name;
  DType dtype = DType::kF32;
  std::vector<int64_t> shape;

  int64_t bytes() const;
};

/// Writes one file tensor by tensor: the header is known first, the data comes in any order, and
/// the file appears under its name at finish(). Data is laid out by falling element size, then by
/// name, so that every tensor is aligned; it begins at a multiple of 64 bytes. Throws kIo;
/// kInternal on misuse.
class SafetensorsWriter {
 public:
  SafetensorsWriter(const std::string& path, std::vector<TensorSpec> tensors,
                    const SafetensorsMetadata& metadata);

  /// The next bytes of a tensor, from its first on.
  void append(std::string_view name, std::span<const std::byte> bytes);
  /// A whole contiguous tensor; its type and shape must be those declared.
  void write(std::string_view name, const TensorView& tensor);
  /// Checks that every byte was written, then makes the file visible.
  void finish();

 private:
  struct Slot {
    TensorSpec spec;
    int64_t offset = 0;
    int64_t written = 0;
  };
  Slot& slot(std::string_view name);

  OutputFile file_;
  std::vector<Slot> slots_;
  std::unordered_map<std::string_view, size_t> by_name_;
};

/// Writes contiguous tensors in one call.
void write_safetensors(const std::string& path,
                       const std::vector<std::pair<std::string, TensorView>>& tensors,
                       const SafetensorsMetadata& metadata = {});

}  // namespace mm
