// Any bytes are either a file whose tensors tile its data exactly, or a kBadInput or kUnsupported
// error.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <span>

#include "base/error.h"
#include "tensor/safetensors.h"

namespace {

void require(bool condition) {
  if (!condition) {
    std::abort();
  }
}

/// Reads every byte, so that the address sanitizer sees a view that leaves the file.
unsigned sum_bytes(const mm::TensorView& view) {
  unsigned sum = 0;
  const unsigned char* bytes = static_cast<const unsigned char*>(view.data);
  for (int64_t i = 0; i < view.bytes(); ++i) {
    sum += bytes[i];
  }
  return sum;
}

void check(const mm::SafetensorsContents& contents, std::span<const std::byte> file) {
  int64_t expected = 0;
  unsigned sum = 0;
  for (const mm::StoredTensor& tensor : contents.tensors) {
    require(tensor.begin == expected && tensor.view.is_contiguous());
    require(tensor.view.bytes() == tensor.end - tensor.begin);
    sum += sum_bytes(tensor.view);
    expected = tensor.end;
  }
  require(expected <= static_cast<int64_t>(file.size()));
  volatile unsigned sink = sum;  // keeps the reads
  (void)sink;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span<const std::byte> file(reinterpret_cast<const std::byte*>(data), size);
  try {
    check(mm::parse_safetensors(file, "fuzz"), file);
  } catch (const mm::Error& error) {
    require(error.kind() == mm::ErrorKind::kBadInput ||
            error.kind() == mm::ErrorKind::kUnsupported);
  }
  return 0;
}
