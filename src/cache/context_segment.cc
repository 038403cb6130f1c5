#include "cache/context_segment.h"

#include <algorithm>
#include <unordered_map>

#include "base/check.h"

namespace mm {
namespace {

// A part is read, then hashed while the system reads on.
constexpr size_t kHashPart = size_t{4} << 20;
// Of the next segment while the caller works on this one: what a fast disk delivers in the time
// that copying a large segment takes.
constexpr size_t kReadAhead = size_t{64} << 20;

std::string tensor_name(size_t layer, const char* what) {
  return fmt::format("layers.{}.{}", layer, what);
}

std::span<const std::byte> bytes_of(const TensorView& view) {
  return {static_cast<const std::byte*>(view.data), static_cast<size_t>(view.bytes())};
}

void add_state_tensors(std::vector<TensorSpec>& tensors, const ContextManifest& context,
                       size_t layer) {
  const CacheLayerSpec& spec = context.binding.layers[layer];
  const int64_t heads =
      static_cast<int64_t>(stored_heads(context.codec, static_cast<int>(layer), spec.heads).size());
  const int64_t size = spec.head_size;
  tensors.push_back(
      {tensor_name(layer, "state"), dtype_of(context.codec.format), {heads, size, size}});
  if (context.codec.format == StateFormat::kInt8)
    tensors.push_back({tensor_name(layer, "state_scales"), DType::kF32, {heads, size}});
}

// The one list of what is in a segment; writing and reading both follow it.
std::vector<TensorSpec> segment_tensors(const ContextManifest& context, int64_t tokens,
                                        bool has_state) {
  const int64_t blocks = tokens / kContextBlock;
  const DType kv_dtype = context.binding.kv_dtype;
  std::vector<TensorSpec> tensors = {{"tokens", DType::kI32, {tokens}}};
  for (size_t layer = 0; layer < context.binding.layers.size(); ++layer) {
    const CacheLayerSpec& spec = context.binding.layers[layer];
    if (!spec.recurrent) {
      tensors.push_back({tensor_name(layer, "pages"),
                         kv_dtype,
                         {blocks, spec.heads, 2, kContextBlock, spec.head_size}});
      if (is_scaled(kv_dtype))
        tensors.push_back(
            {tensor_name(layer, "scales"), DType::kF32, {blocks, spec.heads, 2, kContextBlock}});
    } else if (has_state) {
      add_state_tensors(tensors, context, layer);
    }
  }
  return tensors;
}

// One segment while it is written.
struct Writing {
  const ContextManifest& context;
  const SegmentData& data;
  SafetensorsWriter& file;

  void write_pages(size_t layer, PageSource page);
  void write_state(size_t layer);
};

void Writing::write_pages(size_t layer, PageSource page) {
  const CacheLayerSpec& spec = context.binding.layers[layer];
  const DType kv_dtype = context.binding.kv_dtype;
  const int64_t scales = int64_t{spec.heads} * 2 * kContextBlock;
  const int64_t blocks = static_cast<int64_t>(data.tokens.size()) / kContextBlock;
  for (int64_t i = 0; i < blocks; ++i) {
    const ContextPage source = page(static_cast<int>(layer), data.begin / kContextBlock + i);
    MM_CHECK(source.data.dtype == kv_dtype && source.data.numel() == scales * spec.head_size &&
                 source.data.is_contiguous(),
             "layer {}: a page is {}", layer, to_string(source.data));
    file.append(tensor_name(layer, "pages"), bytes_of(source.data));
    if (!is_scaled(kv_dtype))
      continue;
    MM_CHECK(source.scales.dtype == DType::kF32 && source.scales.numel() == scales &&
                 source.scales.is_contiguous(),
             "layer {}: scales are {}", layer, to_string(source.scales));
    file.append(tensor_name(layer, "scales"), bytes_of(source.scales));
  }
}

void Writing::write_state(size_t layer) {
  const CacheLayerSpec& spec = context.binding.layers[layer];
  const TensorView& state = data.states[layer];
  const size_t width = static_cast<size_t>(spec.head_size);
  const size_t head_numel = width * width;
  MM_CHECK(state.dtype == DType::kF32 && state.is_contiguous() &&
               state.numel() == spec.heads * static_cast<int64_t>(head_numel),
           "layer {}: the state is {}", layer, to_string(state));
  const StateFormat format = context.codec.format;
  std::vector<std::byte> encoded(head_numel * static_cast<size_t>(size_of(dtype_of(format))));
  std::vector<float> scales(width);
  for (const int32_t head : stored_heads(context.codec, static_cast<int>(layer), spec.heads)) {
    const float* values = state.ptr<float>() + static_cast<size_t>(head) * head_numel;
    encode_head(format, {values, head_numel}, encoded.data(), scales);
    file.append(tensor_name(layer, "state"), encoded);
    if (format == StateFormat::kInt8)
      file.append(tensor_name(layer, "state_scales"), std::as_bytes(std::span(scales)));
  }
}

bool same(const TensorView& view, const TensorSpec& spec) {
  const auto shape = view.shape.begin();
  return view.dtype == spec.dtype &&
         std::equal(shape, shape + view.rank, spec.shape.begin(), spec.shape.end());
}

}  // namespace

SegmentEntry write_segment(const std::string& folder, const ContextManifest& context,
                           const SegmentData& data, PageSource page) {
  const int64_t count = static_cast<int64_t>(data.tokens.size());
  SegmentEntry entry;
  entry.file = segment_file_name(context.next_segment);
  entry.begin = data.begin;
  entry.end = data.begin + count;
  entry.has_state = !data.states.empty();
  MM_CHECK(count > 0 && count % kContextBlock == 0 && data.begin % kContextBlock == 0);
  MM_CHECK(!entry.has_state || data.states.size() == context.binding.layers.size());
  const std::string path = folder + "/" + entry.file;
  SafetensorsWriter file(path, segment_tensors(context, count, entry.has_state),
                         {{"begin", std::to_string(entry.begin)}});
  Writing writing{context, data, file};
  file.append("tokens", std::as_bytes(data.tokens));
  for (size_t layer = 0; layer < context.binding.layers.size(); ++layer) {
    if (!context.binding.layers[layer].recurrent)
      writing.write_pages(layer, page);
    else if (entry.has_state)
      writing.write_state(layer);
  }
  file.finish();
  const MappedFile written(path);
  entry.bytes = static_cast<int64_t>(written.bytes().size());
  entry.checksum = checksum_of(written);
  entry.tokens_checksum = hash128(std::as_bytes(data.tokens));
  return entry;
}

Hash128 checksum_of(const MappedFile& file) {
  const std::span<const std::byte> bytes = file.bytes();
  Hasher128 hasher;
  file.will_read_in_order();
  for (size_t begin = 0; begin < bytes.size(); begin += kHashPart) {
    const size_t size = std::min(kHashPart, bytes.size() - begin);
    file.read_in(begin, begin + size);
    hasher.update(bytes.subspan(begin, size));
  }
  return hasher.digest();
}

SegmentFile::SegmentFile(const std::string& folder, const ContextManifest& context,
                         const SegmentEntry& entry)
    : entry_(entry), codec_(context.codec), file_(folder + "/" + entry.file) {
  const std::string& path = file_.path();
  if (static_cast<int64_t>(file_.bytes().size()) != entry.bytes)
    bad_input("{}: {} bytes, expected {}; the file was cut or replaced", path, file_.bytes().size(),
              entry.bytes);
  const SafetensorsContents contents = parse_safetensors(file_.bytes(), path);
  std::unordered_map<std::string_view, TensorView> views;
  for (const StoredTensor& tensor : contents.tensors) views.emplace(tensor.name, tensor.view);
  const std::vector<TensorSpec> expected =
      segment_tensors(context, entry.end - entry.begin, entry.has_state);
  if (views.size() != expected.size())
    bad_input("{}: {} tensors, expected {}; the file is damaged", path, views.size(),
              expected.size());
  for (const TensorSpec& spec : expected) {
    const auto found = views.find(spec.name);
    if (found == views.end())
      bad_input("{}: tensor {} is missing; the file is damaged", path, spec.name);
    if (!same(found->second, spec))
      bad_input("{}: tensor {} is {}, expected {} [{}]; the file is damaged", path, spec.name,
                to_string(found->second), to_string(spec.dtype), fmt::join(spec.shape, ", "));
  }
  tokens_ = views["tokens"];
  for (size_t layer = 0; layer < context.binding.layers.size(); ++layer)
    layers_.push_back({views[tensor_name(layer, "pages")], views[tensor_name(layer, "scales")],
                       views[tensor_name(layer, "state")],
                       views[tensor_name(layer, "state_scales")]});
}

bool SegmentFile::verify() const {
  const std::lock_guard lock(mutex_);
  if (verified_)
    return false;
  const Hash128 found = checksum_of(file_);
  if (found != entry_.checksum)
    bad_input("{}: damaged: its checksum is {}, expected {}", file_.path(), to_hex(found),
              to_hex(entry_.checksum));
  verified_ = true;
  return true;
}

void SegmentFile::read_ahead() const noexcept {
  file_.read_ahead(kReadAhead);
}

std::span<const int32_t> SegmentFile::tokens() const {
  const std::span<const std::byte> bytes = bytes_of(tokens_);
  const size_t begin = static_cast<size_t>(bytes.data() - file_.bytes().data());
  file_.read_in(begin, begin + bytes.size());
  const Hash128 found = hash128(bytes);
  if (found != entry_.tokens_checksum)
    bad_input("{}: damaged: its token ids have checksum {}, expected {}", file_.path(),
              to_hex(found), to_hex(entry_.tokens_checksum));
  return {tokens_.ptr<int32_t>(), static_cast<size_t>(tokens_.numel())};
}

ContextPage SegmentFile::page(int layer, int64_t block) const {
  const Layer& stored = layers_[static_cast<size_t>(layer)];
  MM_CHECK(!stored.pages.empty(), "layer {} has no pages", layer);
  const int64_t index = block - entry_.begin / kContextBlock;
  return {stored.pages.at(index), stored.scales.empty() ? TensorView{} : stored.scales.at(index)};
}

void SegmentFile::read_state(int layer, const TensorView& state) const {
  const Layer& stored = layers_[static_cast<size_t>(layer)];
  MM_CHECK(entry_.has_state && stored.state.rank == 3, "no state of layer {}", layer);
  const size_t width = static_cast<size_t>(stored.state.dim(2));
  const size_t head_numel = width * width;
  const size_t head_bytes = head_numel * static_cast<size_t>(size_of(stored.state.dtype));
  const std::byte* values = static_cast<const std::byte*>(stored.state.data);
  std::fill_n(state.ptr<float>(), state.numel(), 0.0F);
  const std::vector<int32_t> heads =
      stored_heads(codec_, layer, static_cast<int>(state.numel() / int64_t(head_numel)));
  for (size_t i = 0; i < heads.size(); ++i) {
    std::span<const float> scales;
    if (codec_.format == StateFormat::kInt8)
      scales = {stored.state_scales.ptr<float>() + i * width, width};
    float* out = state.ptr<float>() + static_cast<size_t>(heads[i]) * head_numel;
    decode_head(codec_.format, values + i * head_bytes, scales, {out, head_numel});
  }
}

}  // namespace mm
