// Forking and truncating: a context cut at any token.
#include "tests/cache/context_fixture.h"

namespace mm {
namespace {

namespace fs = std::filesystem;

using ContextCutTest = ContextStoreFixture;

// Around the edges of blocks, segments and the tail.
const int64_t kCuts[] = {0,   1,   63,  64,  65,  127, 128, 129, 191, 192,
                         193, 255, 256, 257, 383, 384, 385, 389, 390};

TEST_F(ContextCutTest, ForksAtEveryKindOfPosition) {
  const Tokens tokens = random_tokens(390, 1);
  make("a", tokens);
  for (const int64_t cut : kCuts) {
    const std::string name = fmt::format("fork-{}", cut);
    store_.fork("a", name, cut);
    EXPECT_EQ(check(name, prefix(tokens, cut)), "") << cut;
    // A fork goes its own way.
    Tokens other = prefix(tokens, cut);
    const Tokens more = random_tokens(512 - cut, 2);
    other.insert(other.end(), more.begin(), more.end());
    ContextWriter writer = store_.open_writer(name, context_.binding);
    model_.append(writer, other, 512);
    writer.commit();
    EXPECT_EQ(check(name, other), "") << cut;
  }
  EXPECT_EQ(check("a", tokens), "");
}

TEST_F(ContextCutTest, ForksShareWholeSegments) {
  const Tokens tokens = random_tokens(390, 1);
  make("a", tokens);
  store_.fork("a", "b");
  EXPECT_EQ(check("b", tokens), "");
  for (const SegmentEntry& segment : store_.show("b").segments)
    EXPECT_EQ(fs::hard_link_count(folder_.path() + "/b/" + segment.file), 2u);
  store_.remove("a");
  EXPECT_EQ(check("b", tokens), "");
}

TEST_F(ContextCutTest, ForksRefuseWhatCannotBe) {
  make("a", random_tokens(390, 1));
  make("b", random_tokens(384, 1));
  expect_error(ErrorKind::kBadInput, "cannot be cut at token 391: it has 390",
               [&] { store_.fork("a", "c", 391); });
  EXPECT_FALSE(fs::exists(folder_.path() + "/c"));
  expect_error(ErrorKind::kBadInput, "context b exists", [&] { store_.fork("a", "b"); });
  expect_error(ErrorKind::kBadInput, "context a exists", [&] { store_.fork("a", "a"); });
  expect_error(ErrorKind::kNotFound, "context x does not exist", [&] { store_.fork("x", "c"); });
}

TEST_F(ContextCutTest, TruncatesAtEveryKindOfPosition) {
  const Tokens tokens = random_tokens(600, 1);
  for (const int64_t cut : kCuts) {
    make("a", prefix(tokens, 390));
    ContextWriter writer = store_.open_writer("a", context_.binding);
    writer.truncate(cut);
    EXPECT_EQ(writer.token_count(), cut);
    writer.commit();
    EXPECT_EQ(check("a", prefix(tokens, cut)), "") << cut;
    model_.append(writer, tokens, 576);
    writer.commit();
    EXPECT_EQ(check("a", prefix(tokens, 576)), "") << cut;
    // Nothing but lock, manifest and segments stays behind.
    EXPECT_EQ(file_count("a"), std::ssize(store_.show("a").segments) + 2) << cut;
    expect_error(ErrorKind::kBadInput, "cannot be cut at token 577", [&] { writer.truncate(577); });
    expect_error(ErrorKind::kBadInput, "is being written", [&] { store_.remove("a"); });
    remove_after(std::move(writer), "a");
  }
}

}  // namespace
}  // namespace mm
