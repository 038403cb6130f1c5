#include "engine/context_notes.h"

#include <gtest/gtest.h>

#include "engine/context_json.h"
#include "tests/cache/context_fixture.h"

namespace mm {

namespace {

using ContextNotesTest = ContextStoreFixture;

}  // namespace

TEST_F(ContextNotesTest, AreKeptBesideOtherMetadata) {
  ContextNotes notes;
  notes.raw = true;
  notes.turn_is_open = false;
  notes.pending_tokens = 500;
  notes.pending_begin = 128;
  notes.pending_hash = hash_tokens({1, 2});
  ContextManifest manifest;
  manifest.metadata = {{"model", "m"}};
  notes.write(manifest.metadata);
  EXPECT_EQ(manifest.metadata["model"], "m");
  const ContextNotes read = ContextNotes::read(manifest);
  EXPECT_TRUE(read.raw);
  EXPECT_FALSE(read.turn_is_open);
  EXPECT_EQ(read.pending_tokens, 500);
  EXPECT_EQ(read.pending_begin, 128);
  EXPECT_EQ(read.pending_hash, notes.pending_hash);
  notes.pending_tokens = 0;
  notes.write(manifest.metadata);
  EXPECT_EQ(ContextNotes::read(manifest).pending_tokens, 0);
  EXPECT_NE(hash_tokens({1, 2}), hash_tokens({2, 1}));
}

TEST_F(ContextNotesTest, AForkThatIsCutEndsWithinATurn) {
  ContextNotes notes;
  notes.turn_is_open = false;
  notes.write(context_.metadata);
  make("a", random_tokens(384, 1));
  fork_context(store_, "a", "whole", {});
  EXPECT_EQ(store_.show("whole").token_count(), 384);
  EXPECT_FALSE(ContextNotes::read(store_.show("whole")).turn_is_open);
  fork_context(store_, "a", "cut", 200);
  EXPECT_EQ(store_.show("cut").token_count(), 200);
  EXPECT_TRUE(ContextNotes::read(store_.show("cut")).turn_is_open);
  expect_error(ErrorKind::kBadInput, "384 tokens", [&] { fork_context(store_, "a", "b", 385); });
}

TEST_F(ContextNotesTest, AnInterruptedAppendIsForkedAtAPlaceOnly) {
  ContextNotes notes;
  notes.pending_tokens = 1000;
  notes.pending_begin = 128;
  notes.pending_hash = hash_tokens({1});
  notes.write(context_.metadata);
  make("a", random_tokens(384, 1));
  EXPECT_EQ(context_json("a", store_.show("a"))["complete"], false);
  expect_error(ErrorKind::kBadInput, "interrupted at token 384 of 1000",
               [&] { fork_context(store_, "a", "b", {}); });
  fork_context(store_, "a", "b", 128);
  EXPECT_EQ(context_json("b", store_.show("b"))["complete"], true);
}

}  // namespace mm
