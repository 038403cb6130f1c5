#include "cache/context_store.h"

#include <algorithm>
#include <cmath>
#include <fstream>

#include "tests/cache/context_fixture.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

using ContextStoreTest = ContextStoreFixture;

TEST_F(ContextStoreTest, RoundTripsEveryTypeAndCodec) {
  for (const DType kv : {DType::kF32, DType::kBf16, DType::kI8, DType::kF8E4M3}) {
    for (const StateFormat format : {StateFormat::kF32, StateFormat::kBf16, StateFormat::kInt8}) {
      for (const int64_t replay : {0, 64}) {
        NewContext context = small_context(kv);
        // Heads 0 and 2 of layer 0 and both of layer 2 forget within 64 tokens.
        context.codec = drop_fast_heads(
            format, replay, std::vector<std::vector<float>>{{1, 0.1F, 1}, {}, {1, 1}, {}});
        const std::string name = fmt::format("{}-{}-{}", to_string(kv), to_string(format), replay);
        FakeModel model(context.binding);
        const Tokens tokens = random_tokens(300, 1);
        {
          ContextWriter writer = store_.create(name, context);
          model.append(writer, tokens, 64);
          model.append(writer, tokens, 256);
          writer.set_tail(std::span(tokens).subspan(256));
          writer.commit();
        }
        const ContextReader reader = store_.open_reader(name, context.binding);
        EXPECT_EQ(difference(reader, tokens), "") << name;
        EXPECT_EQ(reader.manifest().codec, context.codec);
        EXPECT_TRUE(store_.verify(name).ok());
      }
    }
  }
}

TEST_F(ContextStoreTest, PagesAreAlignedAndInOrder) {
  const Tokens tokens = random_tokens(384, 1);
  make("a", tokens);
  const ContextReader reader = store_.open_reader("a", context_.binding);
  for (int64_t block = 0; block < reader.blocks(); ++block) {
    const ContextPage page = reader.page(1, block);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(page.data.data) % 64, 0u);
    if (block == 4 || block == 5) {  // of the last segment, [3, 6)
      EXPECT_EQ(static_cast<char*>(page.data.data) - page.data.bytes(),
                reader.page(1, block - 1).data.data);
    }
  }
}

TEST_F(ContextStoreTest, MetadataAndBindingComeBack) {
  context_.metadata = {{"title", "Ärger mit \"Zitaten\"\n"}, {"", ""}};
  make("a", random_tokens(390, 1));
  const ContextManifest manifest = store_.show("a");
  EXPECT_EQ(manifest.metadata, context_.metadata);
  EXPECT_EQ(manifest.backend, "test");
  EXPECT_EQ(manifest.binding.layers, context_.binding.layers);
  EXPECT_EQ(manifest.token_count(), 390);
  EXPECT_EQ(manifest.checkpoints(), (std::vector<int64_t>{128, 384}));
  ContextWriter writer = store_.open_writer("a", context_.binding);
  writer.set_metadata({{"title", "\xff"}});
  expect_error(ErrorKind::kBadInput, "UTF-8", [&] { writer.commit(); });
}

TEST_F(ContextStoreTest, NearestStateLeavesRoomForReplay) {
  make("exact", random_tokens(384, 1));
  const ContextReader exact = store_.open_reader("exact", context_.binding);
  EXPECT_EQ(exact.nearest_state(127), 0);
  EXPECT_EQ(exact.nearest_state(128), 128);
  EXPECT_EQ(exact.nearest_state(383), 128);
  EXPECT_EQ(exact.nearest_state(384), 384);
  context_.codec = drop_fast_heads(StateFormat::kF32, 100,
                                   std::vector<std::vector<float>>{{1, 1, 1}, {}, {0, 0}, {}});
  make("fast", random_tokens(384, 1));
  const ContextReader fast = store_.open_reader("fast", context_.binding);
  EXPECT_EQ(fast.nearest_state(227), 0);
  EXPECT_EQ(fast.nearest_state(228), 128);
  EXPECT_EQ(fast.nearest_state(384), 128);
}

TEST_F(ContextStoreTest, StateAtZeroIsZero) {
  make("a", random_tokens(384, 1));
  const std::vector<TensorView> states = model_.states({}, 0);
  store_.open_reader("a", context_.binding).read_state(0, states);
  EXPECT_EQ(std::count(states[0].ptr<float>(), states[0].ptr<float>() + states[0].numel(), 0.0F),
            states[0].numel());
}

TEST_F(ContextStoreTest, AppendingGoesOnFromTheTail) {
  const Tokens tokens = random_tokens(500, 1);
  make("a", prefix(tokens, 400));
  {
    ContextWriter writer = store_.open_writer("a", context_.binding);
    EXPECT_EQ(writer.token_count(), 400);
    EXPECT_EQ(writer.manifest().tail.size(), 16u);
    model_.append(writer, tokens, 448);
    EXPECT_EQ(writer.token_count(), 448);
    writer.set_tail(std::span(tokens).subspan(448));
    EXPECT_EQ(check("a", prefix(tokens, 400)), "");  // nothing shows before commit()
    writer.commit();
  }
  EXPECT_EQ(check("a", tokens), "");
}

TEST_F(ContextStoreTest, UncommittedChangesLeaveNothing) {
  const Tokens tokens = random_tokens(600, 1);
  make("a", prefix(tokens, 390));
  const int64_t before = file_count("a");
  {
    ContextWriter writer = store_.open_writer("a", context_.binding);
    model_.append(writer, tokens, 448);
    writer.truncate(100);
    model_.append(writer, tokens, 512);
  }
  EXPECT_EQ(check("a", prefix(tokens, 390)), "");
  EXPECT_EQ(file_count("a"), before);
  {
    ContextWriter writer = store_.create("b", context_);
    model_.append(writer, tokens, 448);
    EXPECT_FALSE(store_.exists("b"));
  }
  EXPECT_FALSE(fs::exists(folder_.path() + "/b"));
}

TEST_F(ContextStoreTest, AnEmptyContextIsOne) {
  store_.create("a", context_).commit();
  EXPECT_EQ(check("a", {}), "");
}

TEST_F(ContextStoreTest, ListsWhatIsThere) {
  EXPECT_TRUE(ContextStore(folder_.path() + "/none").list().empty());
  make("b", random_tokens(390, 1));
  make("a", random_tokens(384, 1));
  fs::create_directory(folder_.path() + "/unrelated");
  std::ofstream(folder_.path() + "/file") << "x";
  fs::create_directory(folder_.path() + "/c");
  std::ofstream(folder_.path() + "/c/manifest.json") << "{}";
  const std::vector<ContextEntry> entries = store_.list();
  ASSERT_EQ(entries.size(), 3u);
  EXPECT_EQ(entries[0].name, "a");
  EXPECT_EQ(entries[1].name, "b");
  EXPECT_EQ(entries[1].manifest.token_count(), 390);
  EXPECT_EQ(entries[1].problem, "");
  EXPECT_EQ(entries[2].name, "c");
  EXPECT_NE(entries[2].problem.find("damaged"), std::string::npos);
}

TEST_F(ContextStoreTest, RemovesOnlyContexts) {
  make("a", random_tokens(390, 1));
  fs::create_directory(folder_.path() + "/documents");
  expect_error(ErrorKind::kNotFound, "context documents does not exist",
               [&] { store_.remove("documents"); });
  EXPECT_TRUE(fs::exists(folder_.path() + "/documents"));
  fs::create_directory(folder_.path() + "/.removed-b-1");  // as an interrupted removal leaves it
  std::ofstream(folder_.path() + "/.removed-b-1/lock") << "1";
  store_.remove("a");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_.path()), fs::directory_iterator()), 1);
}

TEST_F(ContextStoreTest, NamesCannotLeaveTheFolder) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string(".a"), std::string("a/b"),
        std::string("a b"), std::string("ä"), std::string("a\0b", 3), std::string(101, 'a')}) {
    expect_error(ErrorKind::kBadInput, "cannot name a context", [&] { store_.exists(name); });
    expect_error(ErrorKind::kBadInput, "cannot name a context", [&] { store_.remove(name); });
    expect_error(ErrorKind::kBadInput, "cannot name a context",
                 [&] { store_.create(name, context_); });
  }
  EXPECT_FALSE(store_.exists("A-z_0.9"));
  EXPECT_FALSE(store_.exists(std::string(100, 'a')));
}

TEST_F(ContextStoreTest, AnotherBindingIsRefusedWithBothValues) {
  make("a", random_tokens(390, 1));
  const auto expect_refusal = [&](const std::string& text, const ContextBinding& binding) {
    expect_error(ErrorKind::kBadInput, text, [&] { store_.open_reader("a", binding); });
    expect_error(ErrorKind::kBadInput, text, [&] { store_.open_writer("a", binding); });
  };
  ContextBinding binding = context_.binding;
  binding.model_hash = "model-2";
  expect_refusal("context a was made with model model-1, but model-2 is in use now", binding);
  binding = context_.binding;
  binding.fingerprint = "bf16";
  expect_refusal("made with number format f32, but bf16 is in use", binding);
  binding = context_.binding;
  binding.kv_dtype = DType::kBf16;
  expect_refusal("made with kv dtype F32, but BF16 is in use", binding);
  binding = context_.binding;
  binding.layers.pop_back();
  expect_refusal("made with a model of 4 layers, but 3 layers is in use", binding);
  binding = context_.binding;
  binding.layers[1].heads = 4;
  expect_refusal("layer 1 softmax with 2 heads of 8, but layer 1 softmax with 4 heads of 8",
                 binding);
}

TEST_F(ContextStoreTest, Int8StatesRefuseInfinity) {
  context_.codec.format = StateFormat::kInt8;
  const Tokens tokens = random_tokens(64, 1);
  ContextWriter writer = store_.create("a", context_);
  const std::vector<TensorView> states = model_.states(tokens, 64);
  states[0].ptr<float>()[3] = INFINITY;
  expect_error(ErrorKind::kBadInput, "int8 cannot store", [&] {
    writer.append_segment(
        tokens, [&](int layer, int64_t block) { return model_.page(tokens, layer, block); },
        states);
  });
  EXPECT_EQ(writer.token_count(), 0);
}

TEST(DefaultContextRootTest, FollowsTheXdgRules) {
  const auto set = [](const char* name, const char* value) {
    if (value != nullptr)
      ::setenv(name, value, 1);
    else
      ::unsetenv(name);
  };
  const char* home = std::getenv("HOME");
  const std::string saved_home = home != nullptr ? home : "";
  set("XDG_DATA_HOME", "/data");
  set("HOME", "/home/u");
  EXPECT_EQ(default_context_root(), "/data/minimax/contexts");
  set("XDG_DATA_HOME", "relative");
  EXPECT_EQ(default_context_root(), "/home/u/.local/share/minimax/contexts");
  set("XDG_DATA_HOME", nullptr);
  EXPECT_EQ(default_context_root(), "/home/u/.local/share/minimax/contexts");
  set("HOME", nullptr);
  expect_error(ErrorKind::kNotFound, "neither XDG_DATA_HOME nor HOME",
               [] { default_context_root(); });
  if (home != nullptr)
    set("HOME", saved_home.c_str());
}

}  // namespace
}  // namespace mm
