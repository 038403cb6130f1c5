#include "engine/context_plan.h"

#include <gtest/gtest.h>

#include "tests/cache/context_fixture.h"

namespace mm {

namespace {

class ContextPlanTest : public ContextStoreFixture {
 protected:
  /// A context of `tokens` whose notes say that it is to become `whole`, from `begin` on.
  void make_pending(const std::string& name, const Tokens& tokens, const Tokens& whole,
                    int64_t begin) {
    ContextNotes notes;
    notes.pending_tokens = static_cast<int64_t>(whole.size());
    notes.pending_hash = hash_tokens(whole);
    notes.pending_begin = begin;
    notes.write(context_.metadata);
    make(name, tokens);
  }
  PlannedWrite create(const Tokens& tokens, bool raw = false) const {
    return plan_create(store_, "a", context_, tokens, raw);
  }
  PlannedWrite append(const Tokens& added) const {
    return plan_append(store_, "a", store_.open_writer("a", context_.binding), added);
  }

  const Tokens whole_ = random_tokens(900, 1);
};

}  // namespace

TEST_F(ContextPlanTest, ANewContextHoldsItsName) {
  const PlannedWrite plan = create(whole_, true);
  EXPECT_EQ(plan.tokens, whole_);
  EXPECT_EQ(plan.reader(), nullptr);
  EXPECT_FALSE(plan.is_done);
  EXPECT_TRUE(plan.notes.raw);
  EXPECT_TRUE(plan.notes.turn_is_open);
  EXPECT_THROW(create(whole_), ContextConflict);
}

TEST_F(ContextPlanTest, WhatWasBegunWithTheSameTokensGoesOn) {
  make_pending("a", prefix(whole_, 384), whole_, 0);
  {
    const PlannedWrite plan = create(whole_);
    EXPECT_FALSE(plan.is_done);
    ASSERT_NE(plan.reader(), nullptr);
    EXPECT_EQ(plan.reader()->token_count(), 384);
    EXPECT_EQ(plan.notes.pending_begin, 0);
  }
  EXPECT_THROW(create(random_tokens(900, 2)), ContextConflict);
}

TEST_F(ContextPlanTest, WhatIsThereIsDoneOrAnothers) {
  make("a", prefix(whole_, 390));
  EXPECT_TRUE(create(prefix(whole_, 390)).is_done);
  EXPECT_THROW(create(whole_), ContextConflict);
}

TEST_F(ContextPlanTest, AnInterruptedAppendIsNoBeginningOfACreation) {
  make_pending("a", prefix(whole_, 384), whole_, 128);
  EXPECT_THROW(create(whole_), ContextConflict);
}

TEST_F(ContextPlanTest, AnAppendOpensTheTurnThatItGoesOn) {
  const TurnFrame frame{.before = "<", .after = ">", .between = "|"};
  ContextNotes notes;
  EXPECT_EQ(appended_text(notes, &frame, "x"), "x");
  notes.turn_is_open = false;
  EXPECT_EQ(appended_text(notes, &frame, "x"), "|x");
  notes.raw = true;
  EXPECT_EQ(appended_text(notes, nullptr, "x"), "x");
  notes.raw = false;
  notes.write(context_.metadata);
  make("a", prefix(whole_, 390));
  const PlannedWrite plan = append({1, 2, 3});
  EXPECT_TRUE(plan.notes.turn_is_open);
  EXPECT_EQ(plan.tokens.size(), 393U);
  EXPECT_EQ(plan.tokens.back(), 3);
  EXPECT_EQ(plan.reader()->token_count(), 390);
}

TEST_F(ContextPlanTest, AnInterruptedAppendGoesOnWithTheSameTextOnly) {
  make_pending("a", prefix(whole_, 384), whole_, 200);
  {
    const PlannedWrite plan = append({whole_.begin() + 200, whole_.end()});
    EXPECT_EQ(plan.tokens, whole_);
    EXPECT_EQ(plan.notes.pending_begin, 200);
  }
  expect_error(ErrorKind::kBadInput, "interrupted at token 384 of 900", [&] { append({1, 2}); });
}

}  // namespace mm
