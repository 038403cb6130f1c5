/// The policy as tables of integers: no model is loaded.
#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/rng.h"

namespace mm {
namespace {

/// A scheduler whose steps run instantly: a finished row draws token 1.
class Simulation {
 public:
  Simulation(int64_t pages, int64_t states, const SchedulerOptions& options)
      : cache_({pages, states, options.block_tokens}, {.per_token = 1, .state_bytes = 8}),
        scheduler_(cache_, options) {}

  /// Prompts of different `kind` have no token in common.
  Sequence& add(int64_t prompt, int kind, bool may_reuse = true) {
    sequences_.push_back(std::make_unique<Sequence>());
    Sequence& sequence = *sequences_.back();
    sequence.id = sequences_.size();
    sequence.tokens.assign(static_cast<size_t>(prompt), kind);
    sequence.prompt_tokens = prompt;
    sequence.may_reuse = may_reuse;
    scheduler_.add(sequence);
    return sequence;
  }
  void remove(Sequence& sequence) {
    scheduler_.remove(sequence, copies_);
    scheduler_.check_integrity();
  }
  /// "1:64 2:1": sequence and rows of each part, in order.
  std::string step() {
    scheduler_.plan(plan_);
    std::string text;
    int64_t rows = 0;
    for (const StepItem& item : plan_.items) {
      text += (text.empty() ? "" : " ") + std::to_string(item.sequence->id) + ":" +
              std::to_string(item.count);
      rows += item.count;
    }
    EXPECT_EQ(rows, plan_.rows);
    std::vector<StepItem> finished;
    for (const StepItem& item : plan_.items) {
      if (item.wants_logits()) {
        finished.push_back(item);
      }
    }
    scheduler_.complete(plan_, copies_);
    for (const StepItem& item : finished) {
      item.sequence->tokens.push_back(1);
    }
    scheduler_.check_integrity();
    return text;
  }
  Scheduler& scheduler() { return scheduler_; }
  PrefixCache& cache() { return cache_; }
  const StepPlan& plan() const { return plan_; }

 private:
  PrefixCache cache_;
  Scheduler scheduler_;
  StepPlan plan_;
  std::vector<StateCopy> copies_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
};

SchedulerOptions options(int sequences = 4, int64_t tokens = 256) {
  return {.max_sequences = sequences,
          .step_tokens = tokens,
          .block_tokens = 64,
          .checkpoint_every = 1024,
          .crossover = 0};
}

TEST(Scheduler, OnePromptThenTokens) {
  Simulation s(100, 4, options());
  s.add(600, 7);
  EXPECT_EQ(s.step(), "1:256");
  EXPECT_EQ(s.step(), "1:256");
  EXPECT_EQ(s.step(), "1:88");
  EXPECT_EQ(s.step(), "1:1");
  EXPECT_EQ(s.step(), "1:1");
}

SchedulerOptions separate(int sequences = 4, int64_t tokens = 256) {
  SchedulerOptions o = options(sequences, tokens);
  o.separate = true;
  return o;
}

TEST(Scheduler, SeparateStepsTakeTurns) {
  Simulation s(1000, 4, separate());
  s.add(10, 1);
  EXPECT_EQ(s.step(), "1:10");
  s.add(700, 2);
  EXPECT_EQ(s.step(), "1:1");
  EXPECT_EQ(s.step(), "2:256");
  EXPECT_EQ(s.step(), "1:1");
  EXPECT_EQ(s.step(), "2:256");
  EXPECT_EQ(s.step(), "1:1");
  EXPECT_EQ(s.step(), "2:188");
  EXPECT_EQ(s.step(), "1:1 2:1");
  EXPECT_EQ(s.step(), "1:1 2:1");
}

TEST(Scheduler, ASingleRowAfterTheLastBlockIsAStepOfTokens) {
  for (const int64_t tokens : {70, 256, 1000}) {
    Simulation s(1000, 4, separate(4, tokens));
    s.add(193, 1);
    std::vector<std::string> steps;
    while (steps.empty() || steps.back() != "1:1") {
      steps.push_back(s.step());
      ASSERT_LT(steps.size(), 10U);
    }
    // However many steps the blocks take.
    EXPECT_EQ(steps.size(), tokens == 70 ? 4U : 2U);
    EXPECT_EQ(steps.front(), tokens == 70 ? "1:64" : "1:192");
  }
  Simulation s(1000, 4, separate());
  s.add(1, 1);
  EXPECT_EQ(s.step(), "1:1");
  s.add(66, 2);
  EXPECT_EQ(s.step(), "2:66");  // two rows after the block are a prompt's
  EXPECT_EQ(s.step(), "1:1 2:1");
}

// Every plan is of one kind, chunks are whole blocks or the end of their prompt, and all get done:
// prompts of any length, more than run at once, with fewer pages than they want.
class SeparatePlans : public ::testing::TestWithParam<int64_t> {};

TEST_P(SeparatePlans, AreOfOneKind) {
  SchedulerOptions o = separate(3, 200);
  o.crossover = GetParam();  // else shares of a step are not whole blocks
  Simulation s(25, 4, o);
  std::vector<Sequence*> sequences;
  for (int i = 0; i < 12; ++i) sequences.push_back(&s.add(1 + i * 32, i));
  std::vector<bool> done(sequences.size(), false);
  for (int step = 0; step < 3000 && std::count(done.begin(), done.end(), false) > 0; ++step) {
    s.step();
    int singles = 0;
    for (const StepItem& item : s.plan().items) {
      singles += item.count == 1 ? 1 : 0;
      const int64_t end = item.sequence->position;  // after the step
      // A finished one drew a token since.
      EXPECT_TRUE(end % 64 == 0 || end + 1 == item.sequence->size()) << end;
      EXPECT_TRUE(item.count == 1 || (end - item.count) % 64 == 0) << end;
    }
    EXPECT_TRUE(singles == 0 || singles == static_cast<int>(s.plan().items.size()));
    for (size_t i = 0; i < sequences.size(); ++i) {
      if (!done[i] && sequences[i]->size() >= sequences[i]->prompt_tokens + 20) {
        done[i] = true;
        s.remove(*sequences[i]);
      }
    }
  }
  EXPECT_EQ(std::count(done.begin(), done.end(), false), 0);
}

INSTANTIATE_TEST_SUITE_P(Crossovers, SeparatePlans, ::testing::Values(0, 50, 1000));

TEST(Scheduler, NothingToDoIsAnEmptyPlan) {
  Simulation s(10, 1, options());
  EXPECT_EQ(s.step(), "");
}

TEST(Scheduler, RunningSequencesComeFirstAndAlways) {
  SchedulerOptions o = options();
  o.checkpoint_every = 64000;  // no part ends early
  Simulation s(1000, 4, o);
  s.add(10, 1);
  EXPECT_EQ(s.step(), "1:10");
  s.add(10000, 2);
  for (int i = 0; i < 20; ++i) {
    // 255 rows are left; the part ends with a whole block.
    EXPECT_EQ(s.step(), "1:1 2:192") << i;
  }
}

TEST(Scheduler, AShortPromptDoesNotWaitForALongOne) {
  Simulation s(10000, 4, options());
  s.add(100000, 1);
  EXPECT_EQ(s.step(), "1:256");
  s.add(100, 2);
  EXPECT_EQ(s.step(), "2:100 1:128");
  EXPECT_EQ(s.step(), "2:1 1:192");
}

TEST(Scheduler, TheRestOfAShortPromptsShareGoesToTheOthers) {
  Simulation s(10000, 4, options());
  s.add(100000, 1);
  s.add(30, 2);
  EXPECT_EQ(s.step(), "2:30 1:192");
}

TEST(Scheduler, MorePromptsThanBlocksTakeTurns) {
  Simulation s(10000, 8, options(8, 128));
  for (int kind = 1; kind <= 4; ++kind) {
    s.add(6400, kind);
  }
  EXPECT_EQ(s.step(), "1:64 2:64");
  EXPECT_EQ(s.step(), "3:64 4:64");
  EXPECT_EQ(s.step(), "1:64 2:64");
}

TEST(Scheduler, ADeepPromptCountsItsAttention) {
  SchedulerOptions o = options();
  o.crossover = 1000;
  Simulation s(10000, 4, o);
  s.add(100000, 1);
  for (int i = 0; i < 20; ++i) {
    EXPECT_EQ(s.step(), "1:256");  // alone: nobody waits for it
  }
  s.add(40, 2);
  // At 5120 a token costs six: a block does not fit beside the other prompt, so it waits a step,
  // and beside decoding it is one block, not 192 tokens.
  EXPECT_EQ(s.step(), "2:40");
  for (int i = 0; i < 300; ++i) {
    EXPECT_EQ(s.step(), "2:1 1:64");
  }
}

TEST(Scheduler, WaitingSequencesAreAdmittedInOrderOfArrival) {
  Simulation s(100, 2, options(2));
  Sequence& first = s.add(10, 1);
  s.add(10, 2);
  s.add(10, 3);
  s.add(10, 4);
  EXPECT_EQ(s.step(), "1:10 2:10");
  EXPECT_EQ(s.scheduler().waiting(), 2);
  s.remove(first);
  EXPECT_EQ(s.step(), "2:1 3:10");
}

TEST(Scheduler, APromptWaitsUntilItsPagesCanBeHad) {
  Simulation s(6, 2, options(4, 512));
  Sequence& first = s.add(200, 1);
  s.add(300, 2);
  EXPECT_EQ(s.step(), "1:200");
  EXPECT_EQ(s.scheduler().waiting(), 1);
  s.remove(first);
  EXPECT_EQ(s.step(), "2:300");
}

TEST(Scheduler, TheYoungestYieldsItsPagesAndComesBack) {
  Simulation s(4, 4, options(4, 512));
  Sequence& first = s.add(60, 1);
  Sequence& second = s.add(60, 2);
  EXPECT_EQ(s.step(), "1:60 2:60");
  while (second.running()) {
    s.step();
    ASSERT_LT(first.size(), 300);
  }
  EXPECT_EQ(second.preemptions, 1);
  EXPECT_EQ(s.scheduler().waiting(), 1);
  const int64_t known = second.size();
  s.remove(first);
  while (second.size() == known) {
    ASSERT_NE(s.step(), "");
  }
  EXPECT_EQ(second.computed, known);  // whatever was replayed was not counted again
}

TEST(Scheduler, ASecondRequestReusesAndReplays) {
  Simulation s(100, 8, options(4, 512));
  Sequence& first = s.add(300, 1);
  s.step();
  s.remove(first);
  Sequence& again = s.add(300, 1);
  EXPECT_EQ(s.step(), "2:44");
  EXPECT_EQ(again.cached, 256);
  EXPECT_EQ(again.replayed, 0);
  EXPECT_EQ(again.outcome, ReuseOutcome::kReused);
  // Departs inside the third block: nothing to go on from there, so it is replayed.
  Sequence& branch = s.add(300, 1);
  branch.tokens[150] = 9;
  EXPECT_EQ(s.step(), "2:1 3:128");
  EXPECT_EQ(s.step(), "2:1 3:172");
  EXPECT_EQ(branch.cached, 0);
  EXPECT_EQ(branch.replayed, 150);
  EXPECT_EQ(branch.computed, 150);
  EXPECT_EQ(branch.outcome, ReuseOutcome::kNoCheckpoint);
}

TEST(Scheduler, ABranchPointGetsACheckpoint) {
  Simulation s(100, 8, options(4, 512));
  s.remove([&]() -> Sequence& {
    Sequence& first = s.add(300, 1);
    s.step();
    return first;
  }());
  Sequence& branch = s.add(300, 1);
  branch.tokens[150] = 9;
  EXPECT_EQ(s.step(), "2:128");  // ends where it departs
  Sequence& other = s.add(300, 1);
  other.tokens[151] = 9;
  s.step();
  EXPECT_EQ(other.cached, 128);
}

TEST(Scheduler, CheckpointsAreKeptEverySoManyTokens) {
  Simulation s(200, 20, options(1, 600));
  s.add(5000, 1);
  while (s.scheduler().running() == 0 || s.cache().tree().states() < 4) {
    ASSERT_NE(s.step(), "");
  }
  std::vector<int32_t> ids(5000, 1);
  const PrefixTree::Match match = s.cache().tree().match(ids);
  EXPECT_EQ(s.cache().tree().position(match.checkpoint), 4096);
}

TEST(Scheduler, WithoutReuseNothingIsTakenOrLeft) {
  Simulation s(100, 8, options(4, 512));
  Sequence& first = s.add(300, 1, false);
  s.step();
  s.remove(first);
  EXPECT_EQ(s.cache().tree().states(), 0);
  Sequence& second = s.add(300, 1, false);
  EXPECT_EQ(s.step(), "2:300");
  EXPECT_EQ(second.outcome, ReuseOutcome::kDisabled);
}

// Any mix of arrivals and ends: nobody starves, nothing leaks, every stall is bounded.
TEST(Scheduler, RandomTrafficNeverLeaksAndNeverStalls) {
  for (uint64_t seed = 0; seed < 20; ++seed) {
    auto random = [seed, n = uint64_t{0}](int64_t below) mutable {
      return static_cast<int64_t>(philox(seed, 0, n++)[0] % static_cast<uint64_t>(below));
    };
    SchedulerOptions o = options(1 + static_cast<int>(random(6)), 128 + 64 * random(4));
    o.crossover = random(2) * 500;
    Simulation s(12 + random(30), random(8), o);
    std::vector<Sequence*> live;
    for (int step = 0; step < 400; ++step) {
      if (live.size() < 12 && random(3) == 0) {
        live.push_back(&s.add(1 + random(700), static_cast<int>(random(3)), random(8) != 0));
      }
      std::vector<std::pair<Sequence*, int64_t>> decoding;
      for (Sequence* sequence : live) {
        if (sequence->running() && sequence->remaining() == 1) {
          decoding.push_back({sequence, sequence->position});
        }
      }
      const std::string text = s.step();
      EXPECT_EQ(text.empty(), live.empty());
      EXPECT_LE(s.plan().rows, o.step_tokens);
      for (const auto& [sequence, before] : decoding) {
        EXPECT_TRUE(!sequence->running() || sequence->position == before + 1);
      }
      for (size_t i = 0; i < live.size(); ++i) {
        const bool done = live[i]->size() > live[i]->prompt_tokens + 40;
        if (done || live[i]->size() >= 12 * 64 - 2 || random(60) == 0) {
          s.remove(*live[i]);
          live.erase(live.begin() + static_cast<std::ptrdiff_t>(i--));
        }
      }
    }
    for (Sequence* sequence : live) {
      s.remove(*sequence);
    }
  }
}

}  // namespace
}  // namespace mm
