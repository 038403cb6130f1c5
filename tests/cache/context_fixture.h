/// Contexts with made-up contents that can be recomputed: keys, values and states are functions of
/// the tokens before them, as a model's are, so a reader's every byte can be checked.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "cache/context_store.h"

namespace mm {

using Tokens = std::vector<int32_t>;

/// A folder that goes away with the test, in memory where that is possible: what is tested is which
/// calls are made in which order, and a disk would only make that slow.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    const bool shm = ::access("/dev/shm", W_OK) == 0;
    std::string pattern =
        (shm ? "/dev/shm" : std::filesystem::temp_directory_path().string()) + "/mm-context-XXXXXX";
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

inline Tokens random_tokens(int64_t count, uint64_t seed) {
  Tokens tokens;
  for (int64_t i = 0; i < count; ++i)
    tokens.push_back(static_cast<int32_t>(philox(seed, 1, static_cast<uint64_t>(i))[0] % 200'000));
  return tokens;
}

inline Tokens prefix(const Tokens& tokens, int64_t count) {
  return {tokens.begin(), tokens.begin() + count};
}

inline NewContext small_context(DType kv_dtype = DType::kF32) {
  NewContext context;
  context.binding = {
      "model-1", "f32", {{true, 3, 8}, {false, 2, 8}, {true, 2, 4}, {false, 1, 4}}, kv_dtype};
  context.backend = "test";
  return context;
}

/// What a model with the layers of a binding would compute, as a function of the tokens.
class FakeModel {
 public:
  explicit FakeModel(const ContextBinding& binding) : binding_(binding) {
    for (const CacheLayerSpec& layer : binding.layers) {
      const int64_t heads = layer.heads;
      const int64_t size = layer.head_size;
      states_.push_back(layer.recurrent ? Tensor(DType::kF32, {heads, size, size}) : Tensor());
      pages_.push_back(layer.recurrent ? Tensor()
                                       : Tensor(binding.kv_dtype, {heads, 2, kContextBlock, size}));
      scales_.push_back(layer.recurrent ? Tensor()
                                        : Tensor(DType::kF32, {heads, 2, kContextBlock}));
    }
  }

  ContextPage page(const Tokens& tokens, int layer, int64_t block) {
    const size_t i = static_cast<size_t>(layer);
    const uint64_t seed = key(tokens, (block + 1) * kContextBlock);
    fill(pages_[i].view(), seed, i);
    ContextPage page{pages_[i].view(), {}};
    if (is_scaled(binding_.kv_dtype)) {
      fill(scales_[i].view(), seed, i + 100);
      page.scales = scales_[i].view();
    }
    return page;
  }

  /// Views of all states after `position` tokens; numbers in (-1, 1).
  std::vector<TensorView> states(const Tokens& tokens, int64_t position) {
    std::vector<TensorView> views;
    for (size_t layer = 0; layer < states_.size(); ++layer) {
      views.push_back(states_[layer].view());
      if (!binding_.layers[layer].recurrent)
        continue;
      for (int64_t i = 0; i < views.back().numel(); ++i)
        views.back().ptr<float>()[i] = static_cast<float>(
            2 * philox_uniform(key(tokens, position), layer + 200, static_cast<uint64_t>(i)) - 1);
    }
    return views;
  }

  /// Appends tokens [writer's last block, end) of `tokens` as one segment.
  void append(ContextWriter& writer, const Tokens& tokens, int64_t end, bool with_state = true) {
    const int64_t begin = writer.manifest().stored_tokens();
    std::vector<TensorView> views;
    if (with_state)
      views = states(tokens, end);
    writer.append_segment(
        std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)),
        [&](int layer, int64_t block) { return page(tokens, layer, block); }, views);
  }

 private:
  static uint64_t key(const Tokens& tokens, int64_t count) {
    return hash128(std::as_bytes(std::span(tokens).first(static_cast<size_t>(count)))).low;
  }
  static void fill(const TensorView& view, uint64_t seed, uint64_t stream) {
    for (int64_t i = 0; i < view.bytes(); i += 16) {
      const auto words = philox(seed, stream, static_cast<uint64_t>(i));
      std::memcpy(static_cast<char*>(view.data) + i, words.data(),
                  std::min<size_t>(16, static_cast<size_t>(view.bytes() - i)));
    }
  }

  ContextBinding binding_;
  std::vector<Tensor> states_, pages_, scales_;
};

/// How far a number may be from what was stored.
inline float state_tolerance(StateFormat format) {
  switch (format) {
    case StateFormat::kF32:
      return 0;
    case StateFormat::kBf16:
      return 0x1p-8F;  // half of 2⁻⁷ below 1, relative
    case StateFormat::kInt8:
      return 1.01F / 254;  // half a step of max / 127
  }
  return 0;
}

inline bool same_bytes(const TensorView& a, const TensorView& b) {
  if (a.empty() || b.empty())
    return a.empty() && b.empty();
  return a.bytes() == b.bytes() && std::memcmp(a.data, b.data, static_cast<size_t>(a.bytes())) == 0;
}

/// Empty if all pages are those of the tokens, else which is not.
inline std::string page_difference(const ContextReader& reader, const Tokens& tokens) {
  const ContextBinding& binding = reader.manifest().binding;
  FakeModel model(binding);
  for (size_t layer = 0; layer < binding.layers.size(); ++layer) {
    if (binding.layers[layer].recurrent)
      continue;
    for (int64_t block = 0; block < reader.blocks(); ++block) {
      const ContextPage found = reader.page(static_cast<int>(layer), block);
      const ContextPage expected = model.page(tokens, static_cast<int>(layer), block);
      if (!same_bytes(found.data, expected.data) || !same_bytes(found.scales, expected.scales))
        return fmt::format("layer {} block {} differs", layer, block);
    }
  }
  return "";
}

/// Empty if the states at a checkpoint are those of the tokens, up to what the codec may lose.
inline std::string state_difference(const ContextReader& reader, const Tokens& tokens,
                                    int64_t position) {
  const ContextManifest& manifest = reader.manifest();
  FakeModel model(manifest.binding);
  FakeModel memory(manifest.binding);
  const std::vector<TensorView> expected = model.states(tokens, position);
  const std::vector<TensorView> found = memory.states(tokens, 0);
  reader.read_state(position, found);
  for (size_t layer = 0; layer < found.size(); ++layer) {
    const CacheLayerSpec& spec = manifest.binding.layers[layer];
    const std::vector<int32_t> kept =
        stored_heads(manifest.codec, static_cast<int>(layer), spec.heads);
    const int64_t head_numel = int64_t{spec.head_size} * spec.head_size;
    for (int64_t i = 0; spec.recurrent && i < found[layer].numel(); ++i) {
      const bool stored = std::find(kept.begin(), kept.end(), i / head_numel) != kept.end();
      const float want = stored ? expected[layer].ptr<float>()[i] : 0;
      const float error = std::abs(found[layer].ptr<float>()[i] - want);
      if (!(error <= state_tolerance(manifest.codec.format)))
        return fmt::format("state of layer {} at {} differs at {}", layer, position, i);
    }
  }
  return "";
}

/// Empty if the reader gives exactly these tokens and what belongs to them, else what is wrong.
inline std::string difference(const ContextReader& reader, const Tokens& tokens) {
  if (reader.tokens() != tokens)
    return fmt::format("{} tokens, or other ones, instead of {}", reader.token_count(),
                       tokens.size());
  std::string found = page_difference(reader, tokens);
  for (const int64_t position : reader.manifest().checkpoints())
    found += state_difference(reader, tokens, position);
  return found;
}

/// The contexts of a store by name; each must verify and hold exactly what its tokens imply.
using Library = std::map<std::string, Tokens>;

inline Library read_library(const ContextStore& store, const ContextBinding& binding) {
  Library library;
  for (const ContextEntry& entry : store.list()) {
    EXPECT_EQ(entry.problem, "");
    EXPECT_TRUE(store.verify(entry.name).ok()) << entry.name;
    const ContextReader reader = store.open_reader(entry.name, binding);
    library[entry.name] = reader.tokens();
    EXPECT_EQ(difference(reader, library[entry.name]), "") << entry.name;
  }
  return library;
}

/// Expects an Error of this kind whose text has `part` in it.
template <typename Call>
void expect_error(ErrorKind kind, const std::string& part, Call call) {
  try {
    call();
    ADD_FAILURE() << "no error, expected \"" << part << "\"";
  } catch (const Error& error) {
    EXPECT_EQ(to_string(error.kind()), std::string(to_string(kind))) << error.what();
    EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
  }
}

/// A store with room for contexts of one small model.
class ContextStoreFixture : public testing::Test {
 protected:
  /// Segments of 128, 64 and 192 tokens and `tail` ids. The middle segment has no states.
  void make(const std::string& name, const Tokens& tokens) {
    ContextWriter writer = store_.create(name, context_);
    model_.append(writer, tokens, 128);
    model_.append(writer, tokens, 192, false);
    model_.append(writer, tokens, 384);
    writer.set_tail(std::span(tokens).subspan(384));
    writer.commit();
  }
  std::string check(const std::string& name, const Tokens& tokens) {
    EXPECT_TRUE(store_.verify(name).ok());
    return difference(store_.open_reader(name, context_.binding), tokens);
  }
  int64_t file_count(const std::string& name) {
    return std::distance(std::filesystem::directory_iterator(folder_.path() + "/" + name),
                         std::filesystem::directory_iterator());
  }

  void remove_after(ContextWriter writer, const std::string& name) {
    { const ContextWriter closed = std::move(writer); }
    store_.remove(name);
    EXPECT_FALSE(store_.exists(name));
  }

  NewContext context_ = small_context();
  FakeModel model_{context_.binding};
  TemporaryFolder folder_;
  ContextStore store_{folder_.path()};
};

}  // namespace mm
