/// A segment of a durable context: an immutable safetensors file with whole blocks of tokens.
#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/function_ref.h"
#include "base/mapped_file.h"
#include "cache/context_manifest.h"
#include "tensor/safetensors.h"
#include "tensor/tensor.h"

namespace mm {

/// Keys and values of one block of one softmax layer, contiguous and in host memory.
struct ContextPage {
  TensorView data;    ///< [G, 2, 64, K] in the context's kv_dtype: keys, then values
  TensorView scales;  ///< f32 [G, 2, 64] for int8 and fp8, else empty
};

/// Gives the page of a softmax layer (counted among all layers) and of an absolute block. The views
/// need to be valid until the next call.
using PageSource = FunctionRef<ContextPage(int layer, int64_t block)>;

/// What a segment is made of.
struct SegmentData {
  int64_t begin = 0;                   ///< absolute position of the first token
  std::span<const int32_t> tokens;     ///< whole blocks
  std::span<const TensorView> states;  ///< none, or one f32 [H, K, K] per layer; see append_segment
};

/// Writes the next segment of `context` (whose next_segment names it) into `folder`, durably.
/// Returns its entry. Throws kIo; kBadInput for states that the codec cannot store.
SegmentEntry write_segment(const std::string& folder, const ContextManifest& context,
                           const SegmentData& data, PageSource page);

/// The checksum of a mapped file, read from front to back. Throws kIo if the disk fails.
Hash128 checksum_of(const MappedFile& file);

/// A mapped segment.
class SegmentFile {
 public:
  /// Maps the file and checks its size, header, names, types and shapes. Throws kNotFound,
  /// kBadInput if it is not what `entry` says, kIo.
  SegmentFile(const std::string& folder, const ContextManifest& context, const SegmentEntry& entry);

  const SegmentEntry& entry() const { return entry_; }

  /// Reads the whole file and compares its checksum, at the first call only: true then, false
  /// later. Throws kBadInput if it is damaged, kIo.
  bool verify() const;
  /// Asks the system to begin reading the file in the background.
  void read_ahead() const noexcept;
  /// The ids, checked by a checksum of their own. Throws kBadInput.
  std::span<const int32_t> tokens() const;
  /// The page of an absolute block, unverified.
  ContextPage page(int layer, int64_t block) const;
  /// Decodes the states of one layer into f32 [H, K, K], unverified. MM_CHECKs that there are some.
  void read_state(int layer, const TensorView& state) const;

 private:
  struct Layer {
    TensorView pages, scales, state, state_scales;
  };

  SegmentEntry entry_;
  StateCodec codec_;
  MappedFile file_;
  TensorView tokens_;
  std::vector<Layer> layers_;
  mutable std::mutex mutex_;
  mutable bool verified_ = false;
};

}  // namespace mm
